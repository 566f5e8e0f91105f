/**
 * Sounds as waveforms and as pictures (Goodfellow et al., table 9.1): WAV files, the short-time Fourier transform, spectrograms along
 * the mel scale and along log frequency. All of it is made of convolutions, so that gradients flow through.
 */
export { decodeWav, type Sound } from '../formats/wav.js'
export type { FileBytes } from '../formats/limits.js'
export { constantQ, type ConstantQOptions } from './constantQ.js'
export { melFilters, melSpectrogram, type MelFilterOptions, type MelSpectrogramOptions } from './mel.js'
export { stft, type FrameOptions, type StftOptions } from './stft.js'
export type { SoundWindow } from './window.js'
