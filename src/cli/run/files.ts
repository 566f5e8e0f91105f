/** What the files in a run's folder are called. */
import { join } from 'node:path'
import { isA } from '../../node/files.js'

export const runFiles = {
  /** Where a run that goes on stands. */
  checkpoint: 'checkpoint.safetensors',
  /** Where a run that has ended stood: the same, from which it can be extended. */
  state: 'state.safetensors',
  data: 'data.json',
  metrics: 'metrics.jsonl',
  /** The same for TensorBoard, which takes a file whose name holds 'tfevents'. */
  events: 'events.out.tfevents.toeplitz',
  weights: 'model.safetensors',
  model: 'model.json',
  report: 'report.html',
  result: 'result.json',
} as const

/** What a run that has ended leaves beside its metrics. */
export const results = ['model', 'result', 'report', 'weights', 'state'] as const

/** What a run of an earlier version left behind. */
const outdated = ['best.safetensors']

/** The results of a run, events that are written anew, and what an earlier version left behind: what a run that begins removes. */
export const removed = [...results.map((name) => runFiles[name]), runFiles.events, ...outdated]

/** All that a run writes or removes. */
export const written = [...Object.values(runFiles), ...outdated]

/** The path of a file in the folder of a run; undefined where there is none. */
export async function existing(folder: string, file: keyof typeof runFiles): Promise<string | undefined> {
  const path = join(folder, runFiles[file])
  return (await isA('file', path)) ? path : undefined
}
