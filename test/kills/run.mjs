/**
 * Runs of `toeplitz train` that are killed, started twice, or robbed of their disk: `npm run test:kills`.
 *
 *   npm run test:kills -- [--kills 300] [--pairs 25] [--disks 40] [--seed 1] [--keep]
 *
 * kills: SIGKILL at each file operation, half of what is written there or before it, and at random times; one or two in
 *   a row, then the run must end with the SHA-256 of one that was left alone, and leave its five files and nothing else.
 * pairs: two processes started together, in one folder (new, finished with --force, unfinished with --resume) or without
 *   one: one of them ends with that SHA-256, the other says who has the folder; or each has one of its own.
 * disks: full (a tmpfs of some kilobytes), read-only, and folders that vanish: one line, exit 1, nothing left behind, and
 *   the same SHA-256 when the disk is mended. What needs a mount is left out where this user may not make one.
 *
 * Exit codes: 0 all was so; 1 it was not, and the folders are kept; 2 wrong usage.
 */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { writeIdx } from '../../dist/data.js'

const command = join(import.meta.dirname, '../../dist/cli/main.js')
const preload = pathToFileURL(join(import.meta.dirname, 'preload.mjs')).href

const number = { type: 'string' }
let options
try {
  options = parseArgs({
    options: { kills: number, pairs: number, disks: number, seed: number, keep: { type: 'boolean' } },
  })
} catch (error) {
  console.error(`test:kills: ${error.message}`)
  process.exit(2)
}
const { kills = '300', pairs = '25', disks = '40', seed = '1', keep = false } = options.values

/** Mulberry32: the same numbers from 0 up to 1 for the same seed. */
let state = Number(seed)
const random = () => {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const below = (limit) => Math.floor(random() * limit)

const root = mkdtempSync(join(tmpdir(), 'toeplitz-kills-'))
const data = join(root, 'data')
const faults = []
const fault = (text) => {
  faults.push(text)
  console.log(`FAULT ${text}`)
}

function writeData() {
  mkdirSync(data)
  for (const [name, size] of [
    ['train', 156],
    ['t10k', 20],
  ]) {
    const labels = Uint8Array.from({ length: size }, (_, n) => n % 10)
    const images = new Uint8Array(size * 16)
    labels.forEach((label, n) => (images[n * 16 + label] = 100 + (n % 150)))
    writeFileSync(join(data, `${name}-images-idx3-ubyte`), writeIdx([size, 4, 4], images))
    writeFileSync(join(data, `${name}-labels-idx1-ubyte`), writeIdx([size], labels))
  }
}

/** Four epochs of 143 steps, with a checkpoint in the middle of each. */
const training = ['--model', 'linear', '--epochs', '4', '--batch-size', '1', '--lr', '0.01', '--early-stopping', '3']
const from = ['--data-dir', data]
const finished = [
  'data.json',
  'metrics.jsonl',
  'model.json',
  'model.safetensors',
  'report.html',
  'result.json',
  'state.safetensors',
].join()

/** Starts a process; `ended` is { code, signal, out, error }. */
function start(args, { cwd = root, env = {} } = {}) {
  const preloads = Object.keys(env).length > 0 ? ['--import', preload] : []
  const child = spawn(process.execPath, [...preloads, command, 'train', ...args, ...from], {
    cwd,
    env: { ...process.env, ...env },
  })
  const texts = { out: '', error: '' }
  child.stdout.on('data', (text) => (texts.out += text))
  child.stderr.on('data', (text) => (texts.error += text))
  const ended = new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, ...texts }))
  })
  return { child, ended, texts }
}

const namesIn = (folder) => (existsSync(folder) ? readdirSync(folder).sort() : [])
const hashIn = (folder) =>
  createHash('sha256')
    .update(readFileSync(join(folder, 'model.safetensors')))
    .digest('hex')
const hasCheckpoint = (folder) => existsSync(join(folder, 'checkpoint.safetensors'))

let whole
let another

/** Whether a folder holds what an undisturbed run leaves, and nothing else. */
function isWhole(folder, where) {
  if (namesIn(folder).join() !== finished) return fault(`${where}: ${folder} holds ${namesIn(folder).join(' ')}`)
  if (hashIn(folder) !== whole) return fault(`${where}: ${folder} has other weights`)
  return true
}

/** Whether a run that was killed had left its results already. */
const isOver = (folder) => !hasCheckpoint(folder) && existsSync(join(folder, 'model.json')) && hashIn(folder) === whole

/** The options with which a user goes on in a folder after a kill. */
const goingOn = (folder, begin) => (hasCheckpoint(folder) ? ['--resume', folder] : begin)

/** What runs begin over, and the options that they begin with. */
const beginnings = {
  new: { prepare: () => undefined, begin: (folder) => [...training, '--out', folder] },
  force: {
    prepare: (folder) => cpSync(join(root, 'another'), folder, { recursive: true }),
    begin: (folder) => [...training, '--out', folder, '--force'],
  },
}

async function killing() {
  const whereCounted = join(root, 'count')
  const operations = {}
  let duration = 0
  for (const [name, { prepare, begin }] of Object.entries(beginnings)) {
    const folder = join(root, `count-${name}`)
    prepare(folder)
    const began = performance.now()
    const { code, error } = await start(begin(folder), { env: { KILL_IN: folder, KILL_COUNT: whereCounted } }).ended
    duration = performance.now() - began
    if (code !== 0) return fault(`counting: ${error}`)
    operations[name] = Number(readFileSync(whereCounted, 'utf8'))
    rmSync(folder, { recursive: true })
  }
  console.log(`a run makes ${operations.new} file operations in its folder, ${operations.force} over another run`)

  const total = Number(kills)
  const counts = { total: 0, operation: 0, half: 0, time: 0, missed: 0, chains: 0 }
  /** The operations of a new run that no process was killed at yet, in any order. */
  const due = Array.from({ length: operations.new }, (_, at) => at)
  for (let last = due.length - 1; last > 0; last--) {
    const other = below(last + 1)
    ;[due[last], due[other]] = [due[other], due[last]]
  }
  for (let index = 0; counts.total < total; index++) {
    // Three of four runs are new, and killed at an operation that is due; the fourth begins over another, or anywhere.
    const first = index % 4 < 3 ? due.pop() : undefined
    const name = first === undefined && below(2) === 0 ? 'force' : 'new'
    const { prepare, begin } = beginnings[name]
    const folder = join(root, `run-${index}`)
    prepare(folder)
    const steps = []
    const length = 1 + below(2)
    let over = false
    // What is over but for its lock is so at the end of a chain.
    for (let step = 0; step < length && counts.total < total && !over && !isOver(folder); step++) {
      const args = goingOn(folder, begin(folder))
      const atOperation = (step === 0 && first !== undefined) || below(2) === 0
      let ended
      if (atOperation) {
        const at = step === 0 && first !== undefined ? first : below(operations.new)
        const isHalf = below(2) === 0
        steps.push(`${isHalf ? 'half of ' : ''}operation ${at} of ${args.slice(-3).join(' ')}`)
        ended = await start(args, { env: { KILL_IN: folder, KILL_AT: String(at), KILL_HALF: isHalf ? '1' : '0' } })
          .ended
        if (ended.signal === 'SIGKILL') counts[isHalf ? 'half' : 'operation']++
      } else {
        const after = random() * duration * 1.1
        steps.push(`${after.toFixed(0)} ms of ${args.slice(-3).join(' ')}`)
        const { child, ended: end } = start(args)
        const timer = pause(after).then(() => child.kill('SIGKILL'))
        ended = await end
        await timer
        if (ended.signal === 'SIGKILL') counts.time++
      }
      if (ended.signal === 'SIGKILL') counts.total++
      else if (ended.code === 0) {
        // It had fewer operations than that, or was faster.
        counts.missed++
        over = true
      } else fault(`${steps.join(', then ')}: exit ${ended.code}: ${ended.error}`)
    }
    counts.chains++
    const where = steps.join(', then ')
    if (!over) {
      const done = isOver(folder)
      const { code, error } = await start(done ? ['--resume', folder] : goingOn(folder, begin(folder))).ended
      if (done ? code !== 2 || !error.includes('the run is finished') : code !== 0 || error !== '')
        fault(`${where}: going on: exit ${code}: ${error}`)
    }
    if (isWhole(folder, where)) rmSync(folder, { recursive: true })
  }
  console.log(
    `kills   ${counts.total}: ${counts.operation} before and ${counts.half} in the middle of a file operation ` +
      `(${operations.new - due.length} of the ${operations.new} of a new run), ${counts.time} at random times; ` +
      `in ${counts.chains} runs, ${counts.missed} times too late`,
  )
}

const isRefusal = ({ code, error }) =>
  code === 1 && /^toeplitz: [^\n]*in use by another run \(pid \d+\)[^\n]*\n$/.test(error)

async function pairing() {
  const counts = { refused: 0, after: 0, two: 0 }
  for (let index = 0; index < Number(pairs); index++) {
    const kind = ['new', 'none', 'resume', 'force'][index % 4]
    const cwd = join(root, `pair-${index}`)
    mkdirSync(cwd)
    const folder = kind === 'none' ? 'runs/linear-mnist' : 'run'
    let args = [...training, '--out', folder]
    if (kind === 'none') args = training
    if (kind === 'force') {
      cpSync(join(root, 'another'), join(cwd, folder), { recursive: true })
      args = [...args, '--force']
    }
    if (kind === 'resume') {
      const { child, ended, texts } = start(args, { cwd })
      while (!texts.out.includes('epoch 1/4 in')) await pause(2)
      child.kill('SIGKILL')
      await ended
      args = ['--resume', folder]
    }
    const both = [start(args, { cwd }), start(args, { cwd })]
    const ended = await Promise.all(both.map((one) => one.ended))
    const where = `pair ${index} (${kind})`
    const told = ended.map(({ code, error }) => `exit ${code}: ${error.trim()}`).join('; ')
    const good = ended.filter(({ code, error }) => code === 0 && error === '')
    if (kind === 'none') {
      if (good.length !== 2) fault(`${where}: ${told}`)
      else counts.two++
      for (const number of ['', '-2']) isWhole(join(cwd, folder + number), where)
      if (namesIn(join(cwd, 'runs')).length !== 2) fault(`${where}: ${namesIn(join(cwd, 'runs')).join()}`)
      continue
    }
    isWhole(join(cwd, folder), where)
    const bad = ended.find((one) => !good.includes(one))
    if (good.length === 1 && isRefusal(bad)) counts.refused++
    // The second began when the first had ended: its folder is that of a finished run, or free for --force.
    else if (good.length === 1 && bad.code === 2 && /finished/.test(bad.error)) counts.after++
    else if (good.length === 2 && kind === 'force') counts.after++
    else fault(`${where}: ${told}`)
  }
  console.log(
    `pairs   ${pairs}: the second refused ${counts.refused} times, a folder each ${counts.two} times, ` +
      `one after the other ${counts.after} times`,
  )
}

const isOneLine = (error) => /^toeplitz: [^\n]+\n$/.test(error)

function mount(folder, ...args) {
  return spawnSync('mount', ['-t', 'tmpfs', ...args, 'none', folder], { encoding: 'utf8' })
}

async function robbing() {
  const total = Number(disks)
  const counts = { full: 0, readOnly: 0, vanished: 0, unharmed: 0 }
  const place = join(root, 'disk')
  mkdirSync(place)
  const mayMount = total > 0 && mount(place, '-o', 'size=1m').status === 0
  if (mayMount) spawnSync('umount', [place])
  else console.log('disks   no mount may be made here: only folders that vanish')
  const folder = join(place, 'run')
  const begin = [...training, '--out', folder]
  for (let index = 0; index < total; index++) {
    const kind = mayMount ? ['full', 'read-only', 'vanished'][index % 3] : 'vanished'
    const where = `disk ${index} (${kind})`
    if (mayMount) mount(place, '-o', kind === 'full' ? `size=${8 + 4 * Math.floor(index / 3) * 4}k` : 'size=4m')
    try {
      const { child, ended: end, texts } = start(begin)
      if (kind !== 'full') {
        while (!texts.out.includes('epoch 1/4') && child.exitCode === null) await pause(2)
        await pause(random() * 100)
        if (kind === 'vanished') rmSync(folder, { recursive: true, force: true })
        else spawnSync('mount', ['-o', 'remount,ro', place])
      }
      const ended = await end
      if (ended.code === 0) counts.unharmed++
      else if (ended.code !== 1 || !isOneLine(ended.error)) fault(`${where}: exit ${ended.code}: ${ended.error}`)
      else counts[kind === 'read-only' ? 'readOnly' : kind]++
      if (kind === 'vanished') {
        if (ended.code === 1 && existsSync(folder)) fault(`${where}: the folder is there again`)
        continue
      }
      if (kind === 'full' && ended.code === 1) {
        if (!/disk is full/.test(ended.error)) fault(`${where}: ${ended.error}`)
        const left = namesIn(folder).filter((name) => /^\.toeplitz|^run\.lock/.test(name))
        if (left.length > 0) fault(`${where}: left ${left.join()}`)
      }
      spawnSync('mount', ['-o', 'remount,rw,size=4m', place])
      if (ended.code === 0) continue
      const again = await start(goingOn(folder, begin)).ended
      if (again.code !== 0 || again.error !== '') fault(`${where}: going on: exit ${again.code}: ${again.error}`)
      isWhole(folder, where)
    } finally {
      if (mayMount) spawnSync('umount', [place])
      else rmSync(folder, { recursive: true, force: true })
    }
  }
  console.log(
    `disks   ${total}: full ${counts.full} times, read-only ${counts.readOnly}, vanished ${counts.vanished}, ` +
      `and too late ${counts.unharmed} times`,
  )
}

const began = performance.now()
writeData()
for (const [name, args] of [
  ['whole', []],
  ['another', ['--seed', '2']],
]) {
  const { code, error } = await start([...training, ...args, '--out', join(root, name)]).ended
  if (code !== 0) throw new Error(error)
}
whole = hashIn(join(root, 'whole'))
another = hashIn(join(root, 'another'))
if (whole === another) throw new Error('two seeds give the same weights')
await killing()
await pairing()
await robbing()
console.log(`seed ${seed}, ${((performance.now() - began) / 1000).toFixed(0)} s: ${faults.length} faults`)
if (faults.length === 0 && !keep) rmSync(root, { recursive: true, force: true })
else console.log(`the folders are in ${root}`)
process.exitCode = faults.length === 0 ? 0 : 1
