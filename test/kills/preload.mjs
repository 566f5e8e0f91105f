/**
 * Loaded into `toeplitz` before it starts (`node --import`): counts its file operations in a folder, and kills the process
 * at one of them, as SIGKILL does. Operations are counted from 0; those that write can be killed when half is written.
 *
 *   KILL_IN     the folder
 *   KILL_AT     the number of the operation; left out, nothing is killed
 *   KILL_HALF   1: an operation that writes is killed in the middle
 *   KILL_COUNT  a file that gets the number of operations when the process ends
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { resolve, sep } from 'node:path'

const { KILL_IN: folder = '', KILL_AT: at, KILL_HALF: half, KILL_COUNT: counted } = process.env
const { writeFileSync } = fs
let count = 0

const isWatched = (path) => typeof path === 'string' && `${resolve(path)}${sep}`.startsWith(`${resolve(folder)}${sep}`)
const isDue = () => String(count++) === at
const die = () => process.kill(process.pid, 'SIGKILL')

const firstHalf = (content) => {
  const bytes = Buffer.from(content)
  return bytes.subarray(0, Math.floor(bytes.length / 2))
}

/** Wraps functions of an object whose first argument is a path. */
function wrap(object, names) {
  for (const name of names) {
    const original = object[name]
    object[name] = (path, ...rest) => {
      if (isWatched(path) && isDue()) {
        if (name !== 'appendFile' || half !== '1') die()
        fs.appendFileSync(path, firstHalf(rest[0]))
        die()
      }
      return original.call(object, path, ...rest)
    }
  }
}

function wrapHandle(handle) {
  for (const name of ['writeFile', 'sync', 'close', 'chmod', 'read', 'stat']) {
    const original = handle[name].bind(handle)
    handle[name] = (...args) => {
      if (isDue()) {
        if (name === 'writeFile' && half === '1') fs.writeSync(handle.fd, firstHalf(args[0]))
        die()
      }
      return original(...args)
    }
  }
  return handle
}

wrap(fs.promises, [
  'appendFile',
  'copyFile',
  'link',
  'lstat',
  'mkdir',
  'readFile',
  'readdir',
  'realpath',
  'rename',
  'rm',
])
wrap(fs.promises, ['stat', 'truncate'])
wrap(fs, ['readFileSync', 'readdirSync', 'rmdirSync', 'unlinkSync'])
const { open } = fs.promises
fs.promises.open = async (path, ...rest) => {
  if (!isWatched(path)) return open(path, ...rest)
  if (isDue()) die()
  return wrapHandle(await open(path, ...rest))
}
syncBuiltinESMExports()

if (counted !== undefined) process.on('exit', () => writeFileSync(counted, String(count)))
