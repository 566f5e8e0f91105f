/**
 * Spoken words: ten words by the voices of espeak-ng, written as WAV and read by `decodeWav`. Whole voices are held out.
 * The same sounds are classified as waveforms, (1, T), and as pictures of their mel spectrograms, (1, bands, frames).
 */
import { execFile } from 'node:child_process'
import { cpus } from 'node:os'
import { promisify } from 'node:util'
import {
  BatchNorm1d,
  BatchNorm2d,
  Conv1d,
  Conv2d,
  Dropout,
  Flatten,
  GlobalAvgPool,
  Linear,
  MaxPool1d,
  MaxPool2d,
  ReLU,
  scope,
  Sequential,
  tensor,
} from 'toeplitz'
import { decodeWav, melSpectrogram } from 'toeplitz/audio'
import { random, trainAndTest } from './common.mjs'

const run = promisify(execFile)

/** The commands of the data set "Speech Commands" (Warden 2018). */
export const words = ['yes', 'no', 'up', 'down', 'left', 'right', 'on', 'off', 'stop', 'go']

const accents = ['en-us', 'en-gb', 'en-gb-scotland', 'en-gb-x-rp']
/** Words in a minute and heights of the voice, of the takes of a voice. */
const takes = [
  { speed: 120, pitch: 35 },
  { speed: 150, pitch: 65 },
  { speed: 180, pitch: 50 },
]
/** Samples in a second, and in an example: one second. */
export const sampleRate = 22_050
const T = sampleRate

/** How a waveform becomes a picture: 40 bands by 101 frames. */
export const picture = { sampleRate, size: 512, hop: 220, bands: 40, from: 60, to: 8000, floor: 1e-4 }

async function speech(words) {
  try {
    const { stdout } = await run('espeak-ng', words, { encoding: 'buffer', maxBuffer: 2 ** 26 })
    return stdout
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
    throw new Error(
      'espeak-ng, which speaks the words, is not installed: sudo apt-get install espeak-ng (Debian, Ubuntu), brew install espeak-ng (macOS)',
      { cause: error },
    )
  }
}

/** The variants of voices that espeak-ng has, by the names of their files. */
async function voices() {
  const list = (await speech(['--voices=variant'])).toString('utf8')
  return [...new Set([...list.matchAll(/!v\/(\S+(?: \S+)*?) *(?:\(|$)/gm)].map((match) => match[1]))].sort()
}

/** A sound without the silence around it. */
function trimmed(samples) {
  const loud = (value) => Math.abs(value) > 0.01
  const first = samples.findIndex(loud)
  return first < 0 ? undefined : samples.slice(first, samples.findLastIndex(loud) + 1)
}

/** One word, said as options of espeak-ng tell, in the middle of a second. */
export async function say(word, options) {
  const { samples } = decodeWav(await speech([...options, '--stdout', word]), word)
  return wave({ samples: trimmed(samples).subarray(0, T) })
}

/** Every word by every voice, thrice: waveforms, labels, and the number of the voice. */
export async function speak() {
  const names = await voices()
  const jobs = names.flatMap((voice, v) =>
    takes.flatMap(({ speed, pitch }, take) =>
      words.map((word, label) => ({
        voice,
        v,
        label,
        word,
        speed,
        pitch,
        accent: accents[(v + take) % accents.length],
      })),
    ),
  )
  const sounds = []
  let next = 0
  const worker = async () => {
    while (next < jobs.length) {
      const place = next++
      const { voice, accent, speed, pitch, word } = jobs[place]
      const options = ['-v', `${accent}+${voice}`, '-s', String(speed), '-p', String(pitch), '--stdout', word]
      const sound = decodeWav(await speech(options), `${word} by ${voice}`)
      if (sound.sampleRate !== sampleRate) throw new Error(`${voice} speaks at ${sound.sampleRate} Hz`)
      const samples = trimmed(sound.samples)
      if (samples) sounds[place] = { ...jobs[place], samples: samples.subarray(0, T) }
    }
  }
  await Promise.all(cpus().map(worker))
  return { voices: names, sounds: sounds.filter((sound) => sound) }
}

/** A sound in the middle of a second of silence, or moved by so many samples, as (1, 1, T). */
function wave({ samples }, moved = 0) {
  const x = new Float32Array(T)
  const first = Math.floor((T - samples.length) / 2) + moved
  x.set(samples, Math.max(0, Math.min(T - samples.length, first)))
  return x
}

const labelsOf = (sounds) => sounds.map(({ label }) => label)

/** Waveforms (N, 1, T), as loud and as late as is drawn where they are trained with. */
function waveformExamples(sounds) {
  const labels = labelsOf(sounds)
  return {
    size: sounds.length,
    labels,
    shape: [1, T],
    batch(indices, draw) {
      const next = draw && random(draw.seed + 7919 * draw.step + draw.first)
      const x = new Float32Array(indices.length * T)
      indices.forEach((index, n) => {
        const [gain, moved] = next ? [0.5 + next(), Math.floor((next() - 0.5) * T)] : [1, 0]
        x.set(
          wave(sounds[index], moved).map((value) => gain * value),
          n * T,
        )
      })
      return { x: tensor(x, [indices.length, 1, T]), target: Int32Array.from(indices, (index) => labels[index]) }
    },
  }
}

const frames = 1 + Math.floor(T / picture.hop)

/** Spectrograms (N, 1, bands, frames), computed once; as loud and as late as is drawn where they are trained with. */
function spectrogramExamples(sounds) {
  const labels = labelsOf(sounds)
  const size = picture.bands * frames
  const pictures = sounds.map((sound) =>
    scope(() => melSpectrogram(tensor(wave(sound), [1, T]), { ...picture, output: 'log' }).data()),
  )
  const silence = Math.log(picture.floor)
  return {
    size: sounds.length,
    labels,
    shape: [1, picture.bands, frames],
    batch(indices, draw) {
      const next = draw && random(draw.seed + 7919 * draw.step + draw.first)
      const x = new Float32Array(indices.length * size)
      indices.forEach((index, n) => {
        // A factor of the sound is a term of its logarithm.
        const [louder, later] = next ? [2 * next() - 1, Math.floor(31 * next()) - 15] : [0, 0]
        const from = pictures[index]
        for (let row = 0; row < picture.bands; row++) {
          for (let column = 0; column < frames; column++) {
            const source = column - later
            const value = source < 0 || source >= frames ? silence : from[row * frames + source]
            // About −1 to 1.
            x[n * size + row * frames + column] = (Math.max(silence, value + louder) + 4) / 6
          }
        }
      })
      const shape = [indices.length, 1, picture.bands, frames]
      return { x: tensor(x, shape), target: Int32Array.from(indices, (index) => labels[index]) }
    },
  }
}

let spoken
/** Sounds of the voices to train with and of every fourth voice, which is tested with alone. */
async function split() {
  spoken ??= await speak()
  const { voices, sounds } = spoken
  const held = voices.filter((_, v) => v % 4 === 3)
  const isHeld = new Set(held)
  return {
    training: sounds.filter(({ voice }) => !isHeld.has(voice)),
    test: sounds.filter(({ voice }) => isHeld.has(voice)),
    data: `${words.length} words by ${voices.length} voices of espeak-ng, ${takes.length} takes of each; tested with ${held.length} other voices: ${held.join(', ')}`,
  }
}

async function trainWords(name, model, examplesOf, how) {
  const { training, test, data } = await split()
  return trainAndTest(model, {
    ...{ name, data, classes: words },
    ...{ training: examplesOf(training), test: examplesOf(test) },
    ...how,
  })
}

/** 1-D, one channel: the waveform (1, 22050), after M5 of Dai et al. 2017, "Very deep CNNs for raw waveforms". */
export function waveforms() {
  const block = (outChannels, kernel, stride) => [
    new Conv1d({ outChannels, kernel, stride, padding: Math.floor(kernel / 2), bias: false }),
    new BatchNorm1d(),
    new ReLU(),
    new MaxPool1d({ kernel: 4 }),
  ]
  const model = new Sequential(
    [
      ...block(24, 80, 10),
      ...block(48, 3, 1),
      ...block(96, 3, 1),
      ...block(96, 3, 1),
      new GlobalAvgPool(),
      new Flatten(),
      new Dropout({ p: 0.3 }),
      new Linear({ outFeatures: words.length }),
    ],
    { input: [1, T], seed: 1 },
  )
  return trainWords('waveforms', model, waveformExamples, { epochs: 20, lr: 0.004 })
}

/** 2-D, one channel: log mel spectrograms (1, 40, 101) of the same sounds. */
export function spectrograms() {
  const block = (outChannels) => [
    new Conv2d({ outChannels, kernel: 3, padding: 1, bias: false }),
    new BatchNorm2d(),
    new ReLU(),
    new MaxPool2d({ kernel: 2 }),
  ]

  const model = new Sequential(
    [
      ...block(16),
      ...block(32),
      ...block(64),
      new GlobalAvgPool(),
      new Flatten(),
      new Dropout({ p: 0.3 }),
      new Linear({ outFeatures: words.length }),
    ],
    { input: [1, picture.bands, frames], seed: 1 },
  )
  return trainWords('spectrograms', model, spectrogramExamples, { epochs: 15, lr: 0.003 })
}
