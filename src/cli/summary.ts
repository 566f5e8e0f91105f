/** `toeplitz summary`: the layers of a model file, or of an architecture by name. */
import { init } from '../runtime/embedded.js'
import { modelNamed } from './models.js'
import type { CliStream, SummaryOptions } from './program.js'

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
