/** The one place that loads what training, measuring and searching do, so that all who need it share one file. */
export const loadWork = (): Promise<typeof import('./work.js')> => import('./work.js')
