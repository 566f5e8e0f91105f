/** `toeplitz summary`: the layers of a model file, of an architecture by name, or the nodes of a model of another library. */
import { init } from '../runtime/embedded.js'
import type { InspectOptions } from './actions.js'
import { withModel } from './foreign.js'
import { outputTo, type CliStreams } from './terminal.js'

/** The action behind `toeplitz summary`. */
export async function summaryCommand(
  name: string,
  { json, shape }: InspectOptions,
  { stdout }: Pick<CliStreams, 'stdout'> = process,
): Promise<undefined> {
  await init()
  const summary = await withModel(name, shape, {
    own: (model) => model.summary(),
    foreign: (program, shapes) => program.summary(shapes),
  })
  const out = outputTo(stdout)
  if (json) out.json(summary)
  else out.text(summary.toString())
}
