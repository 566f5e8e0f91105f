/** What needs a file system: reading with explanations, writing without half-written files, data sets. */
export * from './cifar10.js'
export { ensureDirectory, isA, readFileOrExplain, writeFileAtomically, type ReadOptions } from './files.js'
export {
  loadImageFolder,
  openImageFolder,
  type FolderSplit,
  type ImageFolderOptions,
  type OtherFiles,
  type SizedFolderOptions,
  type SizedFolderSplit,
} from './folder.js'
export * from './mnist.js'
