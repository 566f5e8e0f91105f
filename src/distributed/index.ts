/**
 * Past one machine, in Node: searches, lists of predictions and trainings whose jobs run on BullMQ over Redis, or in this process with
 * the same bits. The packages bullmq and ioredis are needed for Redis alone.
 */
export {
  Pool,
  remote,
  type RemoteOptions,
  type RemotePlace,
  type RemoteSearchOptions,
  type RemoteTrial,
} from './pool.js'
export type { PredictListsOptions, PredictReport } from './predictLists.js'
export type { StoreOption } from './store.js'
export { startWorker, type RunningWorker, type WorkerOptions } from './worker.js'
