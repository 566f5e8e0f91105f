/** Programs that a test starts, and their end. */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

const executable = (path) => {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Path of the first program that exists: absolute paths as they are, names in PATH. */
export function findProgram(...candidates) {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const paths = candidates.flatMap((name) =>
    name.includes('/') ? [name] : folders.map((folder) => join(folder, name)),
  )
  return paths.find(executable)
}

/**
 * A program in a process group of its own, so that `stop` ends its children too. `pipes` are the numbers of further
 * descriptors to read from.
 */
export function start(command, args, { env = {}, cwd, pipes = 0 } = {}) {
  const stdio = ['ignore', 'pipe', 'pipe', ...Array.from({ length: pipes }, () => 'pipe')]
  const child = spawn(command, args, { stdio, detached: true, cwd, env: { ...process.env, ...env } })
  const texts = { out: '', err: '' }
  child.stdout.on('data', (data) => (texts.out += data))
  child.stderr.on('data', (data) => (texts.err += data))
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code: code ?? signal, ...texts }))
  })
  ended.catch(() => {})
  const stop = () => {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch {
      // It has ended by itself.
    }
  }
  return { child, texts, ended, stop }
}

/** Rejects when `promise` takes longer than this. */
export function within(milliseconds, promise, what) {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer in ${milliseconds / 1000} s`)), milliseconds)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** Runs a program to its end. @returns what it printed. @throws when its exit code is not 0. */
export async function runProgram(command, args, { timeout = 120_000, ...options } = {}) {
  const program = start(command, args, options)
  try {
    const { code, out, err } = await within(timeout, program.ended, command)
    if (code !== 0)
      throw new Error(`${command} ended with ${code}: ${err.trim().slice(-2000) || out.trim().slice(-2000)}`)
    return out
  } finally {
    program.stop()
  }
}
