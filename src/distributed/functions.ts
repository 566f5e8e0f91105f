/**
 * Functions that jobs may name. Jobs hold no code: a loss, a metric or a trial is one of the library's or of a module that stands on
 * the disk of whoever started the worker.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rbfLoss } from '../nn/rbf.js'
import { bceWithLogits, crossEntropy, hingeLoss, mseLoss } from '../ops/loss.js'
import { ArgumentError, ToeplitzError, UnsupportedError } from '../runtime/errors.js'
import { accuracy } from '../train/metrics.js'

export type AnyFunction = (...given: never[]) => unknown

const library = { crossEntropy, hingeLoss, mseLoss, bceWithLogits, rbfLoss, accuracy } as const

/** Functions by their names, and the hash of the module that some are of. */
export interface Functions {
  readonly byName: ReadonlyMap<string, AnyFunction>
  /** SHA-256 of the module's file; absent without a module. */
  readonly module?: string
}

/** The library's functions and those that a module exports, under `module.` and their names. @throws ToeplitzError with code FILE */
export async function functionsOf(module?: string): Promise<Functions> {
  const own = new Map<string, AnyFunction>(Object.entries(library))
  if (module === undefined) return { byName: own }
  const path = resolve(module)
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new ToeplitzError('FILE', `${module}: the module with a worker's functions cannot be read`, { cause })
  })
  const exported = (await import(pathToFileURL(path).href)) as Record<string, unknown>
  for (const [name, value] of Object.entries(exported)) {
    if (typeof value === 'function') own.set(`module.${name}`, value as AnyFunction)
  }
  return { byName: own, module: createHash('sha256').update(bytes).digest('hex') }
}

/** The name of a function. @throws ArgumentError where it has none, so that no other machine could know it */
export function nameOfFunction({ byName }: Functions, given: unknown, what: string): string {
  for (const [name, known] of byName) if (known === given) return name
  throw new ArgumentError(
    `${what}: other machines know ${Object.keys(library).join(', ')} and what the module of remote() and of the workers exports, by name; given another function`,
  )
}

/** The function of a name. @throws UnsupportedError where this worker has none */
export function functionOf({ byName, module }: Functions, name: unknown, wanted: unknown): AnyFunction {
  const found = typeof name === 'string' ? byName.get(name) : undefined
  if (found && (!String(name).startsWith('module.') || wanted === module)) return found
  const why = found
    ? 'has another version of its module'
    : module === undefined
      ? 'has no module'
      : 'has no such function'
  throw new UnsupportedError(`worker: the job needs the function ${JSON.stringify(name)}, and this worker ${why}`)
}
