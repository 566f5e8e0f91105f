/** `toeplitz summary`: the layers of a model file, or of an architecture by name. */
import { init } from '../runtime/embedded.js'
import { architectures } from './architectures.js'
import { exists } from './metrics.js'
import { readArchitecture } from './models.js'
import { modelNames, type CliStream, type SummaryOptions } from './program.js'

/** The action behind `toeplitz summary`. */
export async function summaryCommand(
  name: string,
  { json }: SummaryOptions,
  { stdout }: { readonly stdout: CliStream } = process,
): Promise<undefined> {
  await init()
  const architecture = modelNames.includes(name) && !(await exists(name)) ? architectures[name] : undefined
  const model = architecture ? architecture() : await readArchitecture(name)
  const summary = model.summary()
  model.dispose()
  stdout.write(json ? `${JSON.stringify(summary, null, 2)}\n` : `${summary.toString()}\n`)
}
