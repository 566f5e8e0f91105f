/** PyTorch as a program beside: Debian's, which belongs to /usr/bin/python3. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What a Python program of this folder prints. Ends the process with a word about it where PyTorch is missing. */
export function python(...args) {
  try {
    return execFileSync('/usr/bin/python3', args, {
      cwd: import.meta.dirname,
      encoding: 'utf8',
      env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
      maxBuffer: 2 ** 26,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  } catch (error) {
    const said = String(error.stderr ?? error)
    if (error.code === 'ENOENT' || /No module named '(torch|torchvision|numpy)'/.test(said)) {
      console.error(
        'PyTorch is missing: apt-get install python3-torch python3-torchvision, which belong to /usr/bin/python3',
      )
      process.exit(2)
    }
    throw new Error(said.trim().split('\n').slice(-12).join('\n'), { cause: error })
  }
}

/** Calls back with a folder that is removed afterwards. */
export function inScratch(use) {
  const folder = mkdtempSync(join(tmpdir(), 'toeplitz-pytorch-'))
  try {
    return use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** The largest difference of two lists, in units of the largest number that is due; infinite where they cannot be compared. */
export function largestError(given, due) {
  const largest = due.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  if (given.length !== due.length || !Number.isFinite(largest)) return { error: Infinity, largest }
  let most = 0
  for (let i = 0; i < due.length; i++) {
    const far = Math.abs(given[i] - due[i])
    // Of a NaN no comparison holds.
    if (!(far <= most)) most = Number.isNaN(far) ? Infinity : far
  }
  return { error: largest === 0 ? most : most / largest, largest }
}
