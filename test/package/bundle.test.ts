/** What a bundler makes of the built package: its size, and that what is not used is left out. */
import { mkdtempSync, readdirSync, readFileSync, statSync, symlinkSync, mkdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import manifest from '../../package.json' with { type: 'json' }
import * as source from '../../src/index.js'
import strict from '../../src/runtime/generated/strict.js'

const root = resolve(import.meta.dirname, '../..')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'toeplitz-bundle-'))
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(root, join(folder, 'node_modules/toeplitz'))
  for (const name of Object.keys(manifest.dependencies)) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), link)
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/**
 * What a page loads first of a program that imports the package: the entry and the files that it imports at once, as one
 * text. Parts behind `import()` go to files of their own.
 */
async function bundle(program: string, minify: boolean): Promise<string> {
  const { outputFiles, metafile } = await build({
    stdin: { contents: program, resolveDir: folder },
    outdir: join(folder, 'out'),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    preserveSymlinks: true,
    minify,
    write: false,
    metafile: true,
    logLevel: 'error',
  })
  const first = new Set(Object.keys(metafile.outputs).filter((path) => path.endsWith('stdin.js')))
  // A Set gives what is added while it is gone through.
  for (const path of first) {
    for (const { path: imported, kind } of metafile.outputs[path]!.imports) {
      if (kind === 'import-statement' && imported in metafile.outputs) first.add(imported)
    }
  }
  return [...first].map((path) => outputFiles.find((file) => file.path.endsWith(basename(path)))!.text).join('')
}

function filesIn(path: string): string[] {
  return statSync(path).isDirectory() ? readdirSync(path).flatMap((name) => filesIn(join(path, name))) : [path]
}

const declaration = (prefix: string): RegExp =>
  new RegExp(`^${prefix}(?:async |abstract )*(?:function\\*?|class|var|let|const) (\\w+)`, 'gm')
const namesIn = (text: string, prefix = ''): string[] =>
  [...text.matchAll(declaration(prefix))].map((match) => match[1]!)

/** Names that the files of a room declare at the top level, or only those that they export. */
const declaredBy = (room: string, prefix = '(?:export )?'): string[] =>
  filesIn(join(root, 'src', room)).flatMap((file) => namesIn(readFileSync(file, 'utf8'), prefix))

/** Which of the names are declared at the top level of a bundle that was not minified. */
const declaredIn = (text: string, names: readonly string[]): string[] => {
  const declared = new Set(namesIn(text))
  return names.filter((name) => declared.has(name))
}

const kilobytes = (text: string): number => gzipSync(text, { level: 9 }).length / 1000

describe('the default entry', () => {
  it('is at most 120 kB, whole, minified and gzipped, with the strict core inside', async () => {
    const text = await bundle(`export * from 'toeplitz'`, true)
    expect(text).toContain(strict)
    const size = kilobytes(text)
    expect(size).toBeLessThanOrEqual(120)
    // A bundle that lost its code would be small as well.
    expect(size).toBeGreaterThan(60)
  })
})

describe('the built package', () => {
  it('knows every layer that the source knows', async () => {
    const said = (library: Pick<typeof source, 'modelFromJSON'>): string => {
      try {
        library.modelFromJSON({ type: 'Sequential', input: null, layers: [{ type: 'Nothing' }] })
        return ''
      } catch (error) {
        return (error as Error).message
      }
    }
    const built = (await import(join(root, 'dist/index.js'))) as typeof source
    expect(said(built)).toMatch(/there is no layer type 'Nothing'.* Conv2d, .*MaxPool2d, .*ReLU/)
    const sorted = (message: string): string[] => [...message.matchAll(/\w+/g)].map(([word]) => word).sort()
    expect(sorted(said(built))).toEqual(sorted(said(source)))
  })
})

describe('the slim entry', () => {
  it('holds no module', async () => {
    const text = await bundle(`export * from 'toeplitz/slim'`, true)
    expect(text).not.toContain(strict)
    expect(kilobytes(text)).toBeLessThanOrEqual(83)
  })
})

describe('models from elsewhere', () => {
  const adds = async (names: string): Promise<number> => {
    const whole = await bundle(`export * from 'toeplitz'; export { ${names} } from 'toeplitz/onnx'`, true)
    return kilobytes(whole) - kilobytes(await bundle(`export * from 'toeplitz'`, true))
  }

  it('of ONNX add at most 45 kB, and at most 9 kB more where they are saved', async () => {
    expect(await adds('loadOnnx')).toBeLessThanOrEqual(45)
    expect(await adds('loadOnnx, saveOnnx')).toBeLessThanOrEqual(54)
  })
})

describe('a bundle of conv2d alone', () => {
  const used = new Set(['runtime', 'tensor', 'autodiff', 'plan', 'ops'].flatMap((room) => declaredBy(room)))
  const unused = [
    'formats',
    'graph',
    'nn',
    'optim',
    'train',
    'zoo',
    'data',
    'io',
    'vision',
    'layers',
    'features',
    'segmentation',
    'training',
    'priors',
    'quant',
    'audio',
    'volumes',
  ]
    .flatMap((room) => declaredBy(room, 'export '))
    .filter((name) => !used.has(name))
  // Their work on tensors is an operation, but none that a convolution needs.
  const otherOperations = ['crossEntropy', 'batchNorm', 'dropout', 'maxPool2d', 'softmax', 'conv3d', 'convMatrix']

  it('drops layers, zoo, data, files and training', async () => {
    const text = await bundle(`import { init, tensor, conv2d } from 'toeplitz'; export { init, tensor, conv2d }`, false)
    expect(declaredIn(text, ['conv2d', 'init', 'Tensor'])).toEqual(['conv2d', 'init', 'Tensor'])
    expect(declaredIn(text, unused)).toEqual([])
    expect(declaredIn(text, otherOperations)).toEqual([])
  })

  it('would show them', async () => {
    const text = await bundle(
      `import * as t from 'toeplitz'; import * as zoo from 'toeplitz/zoo'; console.log(t, zoo)`,
      false,
    )
    const found = declaredIn(text, [...unused, ...otherOperations])
    expect(found).toEqual(
      expect.arrayContaining(['Sequential', 'SGD', 'fit', 'convnet', 'encodeSafetensors', 'maxPool2d']),
    )
  })
})

describe('the classifier', () => {
  it('brings no decoder of PNG or JPEG, no training and no core', async () => {
    const text = await bundle(`export * from 'toeplitz/classifier'`, false)
    expect(declaredIn(text, ['loadClassifier', 'decodeModel', 'preparePixels'])).toHaveLength(3)
    expect(
      declaredIn(text, ['decodePng', 'decodeJpeg', 'decodeImage', 'inflate', 'fit', 'SGD', 'mnistFromIdx']),
    ).toEqual([])
    expect(text).not.toContain(strict)
  })
})

describe('on a page without a bundler', () => {
  it.each([
    'index',
    'slim',
    'zoo',
    'data',
    'layers',
    'vision',
    'features',
    'priors',
    'quant',
    'segmentation',
    'train',
    'audio',
    'volumes',
    'classifier',
  ])('%s.js imports nothing by name', async (entry) => {
    const { metafile } = await build({
      entryPoints: [join(root, `dist/${entry}.js`)],
      bundle: true,
      splitting: true,
      outdir: join(folder, 'out'),
      format: 'esm',
      packages: 'external',
      write: false,
      metafile: true,
    })
    const imports = Object.values(metafile.inputs).flatMap((input) => input.imports)
    expect(imports.filter(({ external }) => external).map(({ path }) => path)).toEqual([])
    // The cores that are loaded on demand are files of the package.
    if (entry === 'index') expect(imports.some(({ kind }) => kind === 'dynamic-import')).toBe(true)
  })
})
