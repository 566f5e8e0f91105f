/**
 * Data of more and of other axes than pictures (Goodfellow et al., table 9.1): volumes read from files, and makers, by a seed, of
 * volumes, of videos and of movements of skeletons.
 */
export type { DataLimits } from '../formats/idx.js'
export type { FileBytes } from '../formats/limits.js'
export { decodeNifti, type NiftiVolume } from '../formats/nifti.js'
export { readRaw, type RawOptions, type Volume, type VoxelType } from '../formats/voxels.js'
export type { MadeExamples, MakerOptions } from './made.js'
export { joints, movements, type MovementsOptions } from './movements.js'
export { solids, type SolidsOptions } from './solids.js'
export { movingPictures, type MovingPicturesOptions } from './video.js'
