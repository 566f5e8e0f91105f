/** `toeplitz summary`: the layers of a model file, or of an architecture by name. */
import { init } from '../runtime/embedded.js'
import { modelNamed } from './trained.js'
import type { SummaryOptions } from './actions.js'
import { outputTo, type CliStreams } from './terminal.js'

/** The action behind `toeplitz summary`. */
export async function summaryCommand(
  name: string,
  { json }: SummaryOptions,
  { stdout }: Pick<CliStreams, 'stdout'> = process,
): Promise<undefined> {
  await init()
  const model = await modelNamed(name)
  const summary = model.summary()
  model.dispose()
  const out = outputTo(stdout)
  if (json) out.json(summary)
  else out.text(summary.toString())
}
