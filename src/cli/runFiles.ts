/** What the files in a run's folder are called. */
export const runFiles = {
  checkpoint: 'checkpoint.safetensors',
  data: 'data.json',
  metrics: 'metrics.jsonl',
  weights: 'model.safetensors',
  model: 'model.json',
  report: 'report.html',
  result: 'result.json',
} as const
