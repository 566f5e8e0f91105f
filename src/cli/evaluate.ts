/** `toeplitz evaluate`: the error of a trained model on labelled pictures, as the test after training measures it. */
import { init } from '../runtime/embedded.js'
import { UnsupportedError } from '../runtime/errors.js'
import { readTrainedModel } from './trained.js'
import { exitCodes, type EvaluateOptions } from './actions.js'
import { errorLines, measure, top5Record, type Measured } from './results.js'
import { testPictures } from './testPictures.js'
import { columns, outputTo, type CliStreams } from './terminal.js'

/** The action behind `toeplitz evaluate`; gives the exit code. */
export async function evaluateCommand(
  modelPath: string,
  data: string,
  options: EvaluateOptions,
  { stdout, stderr }: CliStreams = process,
): Promise<number> {
  const out = outputTo(stdout)
  const note = (line: string): void => {
    outputTo(stderr).line(line)
  }
  await init()
  const { file, model, note: origin } = await readTrainedModel(modelPath)
  try {
    if (origin !== undefined) note(`note: ${origin}`)
    const { name, classes, preprocessing } = file
    if (!preprocessing) throw new UnsupportedError(`${name}: the model takes no pictures of 1 or 3 channels`)
    let skipped = 0
    const onSkip = ({ message }: Error): void => {
      note(`warning: ${message}; skipped`)
      skipped++
    }
    const images = await testPictures(modelPath, data, { classes, preprocessing }, { ...options, onSkip, note })
    const measured = await measure(model, images, preprocessing, options.batchSize)
    const rows = classRows(measured, classes)
    const { images: count, loss, wrong, top5Errors } = measured
    if (options.json) {
      const errors = wrong.length
      const of5 = top5Record(count, top5Errors)
      out.json({
        model: name,
        data,
        images: count,
        skipped,
        errors,
        test_error: errors / count,
        ...of5,
        loss,
        classes: rows,
      })
      return exitCodes.success
    }
    out.text(table(rows))
    out.line()
    out.text(errorLines(count, wrong.length, top5Errors))
    out.line(`test loss    ${loss.toPrecision(4)}`)
    if (skipped > 0) out.line(`skipped      ${skipped} picture${skipped === 1 ? '' : 's'}`)
  } finally {
    model.dispose()
  }
  return exitCodes.success
}

/** What was made of the pictures of a class. */
interface ClassRow {
  readonly label: string
  readonly images: number
  readonly errors: number
  /** Share of its pictures that were taken for another class; null where there are none. */
  readonly error: number | null
  /** Share of those of its pictures among all that were taken for the class; null where none were. */
  readonly precision: number | null
  /** What most of the errors were taken for. */
  readonly taken_for: string | null
}

function classRows({ right, wrong }: Measured, classes: readonly string[]): ClassRow[] {
  const missed = classes.map(() => new Map<number, number>())
  const falsely = new Int32Array(classes.length)
  for (const { label, predicted } of wrong) {
    const of = missed[label] as Map<number, number>
    of.set(predicted, (of.get(predicted) ?? 0) + 1)
    falsely[predicted] = (falsely[predicted] as number) + 1
  }
  return classes.map((label, n) => {
    const found = right[n] as number
    const taken = [...(missed[n] as Map<number, number>)].sort(([a, p], [b, q]) => q - p || a - b)
    const errors = taken.reduce((sum, [, count]) => sum + count, 0)
    const images = found + errors
    const answers = found + (falsely[n] as number)
    return {
      ...{ label, images, errors },
      error: images > 0 ? errors / images : null,
      precision: answers > 0 ? found / answers : null,
      taken_for: taken[0] ? (classes[taken[0][0]] as string) : null,
    }
  })
}

const percent = (share: number | null): string => (share === null ? '–' : `${(100 * share).toFixed(2)} %`)

const HEAD = ['class', 'images', 'wrong', 'error', 'precision', 'taken for']

const table = (rows: readonly ClassRow[]): string[] =>
  columns(
    [
      HEAD,
      ...rows.map(({ label, images, errors, error, precision, taken_for }) => [
        ...[label, String(images), String(errors), percent(error), percent(precision), taken_for ?? ''],
      ]),
    ],
    (column) => column > 0 && column < HEAD.length - 1,
  )
