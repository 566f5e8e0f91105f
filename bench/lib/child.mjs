// @ts-check
// Work in a process of its own, which nothing that was measured before has left a mark on.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { BenchError } from './errors.mjs'

/**
 * Runs a script with Node and returns what the last line of its output says as JSON. Its error output goes to `log`.
 * @param {string} what is done, for the message of an error
 * @param {URL} script
 * @param {readonly string[]} args
 * @param {(line: string) => void} log
 * @returns {Promise<any>}
 * @throws BenchError with the message of the script's error
 */
export async function runChild(what, script, args, log = () => undefined) {
  const running = promisify(execFile)(process.execPath, [fileURLToPath(script), ...args], { maxBuffer: 2 ** 28 })
  running.child.stderr?.on('data', (/** @type {Buffer} */ lines) => log(String(lines).trimEnd()))
  try {
    const { stdout } = await running
    return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  } catch (error) {
    const { stderr = '' } = /** @type {{ stderr?: string }} */ (error)
    const lines = stderr.trim().split('\n')
    const reason = lines.flatMap((line) => /\w*Error: (.*)/.exec(line)?.[1] ?? [])[0] ?? lines.at(-1)
    throw new BenchError(`${what}: ${reason || String(error)}`)
  }
}
