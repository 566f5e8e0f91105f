/** `toeplitz summary`: the layers of a model file, or of an architecture by name. */
import type { Graph } from '../nn/graph.js'
import { init } from '../runtime/embedded.js'
import { architectures, createModel } from '../zoo/registry.js'
import { exists } from './metrics.js'
import { readArchitecture } from './models.js'
import type { CliStream, SummaryOptions } from './program.js'

/** A file or folder goes before an architecture of the same name; what looks like neither is taken for a misspelt name. */
async function modelNamed(name: string): Promise<Graph> {
  const isPath = (await exists(name)) || (/[/\\.]/.test(name) && !Object.hasOwn(architectures, name))
  return isPath ? readArchitecture(name) : createModel(name)
}

/** The action behind `toeplitz summary`. */
export async function summaryCommand(
  name: string,
  { json }: SummaryOptions,
  { stdout }: { readonly stdout: CliStream } = process,
): Promise<undefined> {
  await init()
  const model = await modelNamed(name)
  const summary = model.summary()
  model.dispose()
  stdout.write(json ? `${JSON.stringify(summary, null, 2)}\n` : `${summary.toString()}\n`)
}
