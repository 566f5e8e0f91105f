/** What the files in a run's folder are called. */
export const runFiles = {
  /** Where a run that goes on stands. */
  checkpoint: 'checkpoint.safetensors',
  /** Where a run that has ended stood: the same, from which it can be extended. */
  state: 'state.safetensors',
  data: 'data.json',
  metrics: 'metrics.jsonl',
  weights: 'model.safetensors',
  model: 'model.json',
  report: 'report.html',
  result: 'result.json',
} as const
