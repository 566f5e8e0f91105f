/** `toeplitz look`, on pictures of a few pixels: what the page holds, and what cannot be looked at. */
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LookOptions } from '../../src/cli/actions.js'
import { lookCommand, lookDefaults } from '../../src/cli/look.js'
import { runCli } from '../../src/cli/program.js'
import { decodePng, encodePng } from '../../src/formats/png.js'
import { defaultLimits } from '../../src/formats/limits.js'
import { encodeModel } from '../../src/io/model-file.js'
import { plainPreprocessing } from '../../src/io/preprocessing.js'
import { Conv2d, Flatten, Linear, MaxPool2d, ReLU, Sequential, Sigmoid, type Layer } from '../../src/nn/index.js'
import { init } from '../../src/runtime/embedded.js'
import { memoryUsage } from '../../src/runtime/core.js'
import { linearClassifier, twoLayerClassifier } from '../../src/zoo/index.js'
import { tinyOptions, train, writeTinyData } from '../helpers/tinyRuns.js'

const folder = mkdtempSync(join(tmpdir(), 'toeplitz-look-'))
const dataDir = join(folder, 'data')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const at = (name: string): string => join(folder, name)
const defaults: LookOptions = { ...lookDefaults, ...defaultLimits, layer: [], debug: false }

async function look(model: string, pictures: readonly string[], changes: Partial<LookOptions> = {}) {
  let [printed, told] = ['', '']
  const out = at('page.html')
  const streams = {
    stdout: { write: (text: string) => (printed += text) },
    stderr: { write: (text: string) => (told += text) },
  }
  const code = await lookCommand(model, pictures, { ...defaults, out, ...changes }, streams)
  expect(code).toBe(0)
  const page = readFileSync(changes.out ?? out, 'utf8')
  expect(printed).toMatch(/^page +\S+\.html \(\d+ kB\)\n$/)
  return { page, told }
}

/** A model file for pictures, with class names that a page must escape. */
function save(
  name: string,
  model: Sequential,
  shape: readonly [1 | 3, number, number],
  classes: readonly string[],
): string {
  const preprocessing = plainPreprocessing(shape, { mean: 0.4, std: 0.3 })
  writeFileSync(at(name), encodeModel(model, { name: '<b>net</b>', classes, preprocessing }))
  model.dispose()
  return at(name)
}
const names = (count: number): string[] => ['<i>cat</i>', ...Array.from({ length: count - 1 }, (_, n) => `class ${n}`)]

const own = (layers: readonly Layer[] = []): Sequential =>
  new Sequential(
    [
      new Conv2d({ outChannels: 5, kernel: 3 }),
      new ReLU(),
      new MaxPool2d({ kernel: 2 }),
      new Conv2d({ outChannels: 6, kernel: 3 }),
      ...layers,
      new ReLU(),
      new Flatten(),
      new Linear({ outFeatures: 4 }),
    ],
    { input: [3, 12, 12], seed: 3 },
  )

/** A picture of noise, whose bytes follow from its number. */
function picture(name: string, n: number, [width, height] = [12, 12]): string {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * (37 + 2 * n) + n * 91) % 256)
  writeFileSync(at(name), encodePng({ width: width, height: height, channels: 3, data }))
  return at(name)
}

const sections = (page: string): string[] => [...page.matchAll(/<h2>(.*?)<\/h2>/g)].map((match) => match[1]!)
const images = (page: string): { src: string; alt: string }[] =>
  [...page.matchAll(/<img src="data:image\/png;base64,(.*?)" width="\d+" height="\d+" alt="(.*?)"/g)].map((match) => ({
    src: match[1]!,
    alt: match[2]!,
  }))

let net: string
let [first, second, third]: string[] = []
beforeAll(async () => {
  await init()
  writeTinyData(dataDir)
  net = save('net.safetensors', own(), [3, 12, 12], names(4))
  mkdirSync(at('class 1'))
  ;[first, second, third] = [
    picture('one.png', 1),
    picture('class 1/two.png', 2),
    picture('three <u>.png', 3, [40, 30]),
  ]
})

describe('a model with convolutions', () => {
  it('has every part on one page that asks for nothing, and the same page each time', async () => {
    const before = memoryUsage().liveBytes
    const { page, told } = await look(net, [first!, second!, third!])
    expect(memoryUsage().liveBytes).toBe(before)
    expect(sections(page)).toEqual([
      'Answers, and where they come from',
      'Filters of the first layer',
      'Feature maps',
      'What excites the maps',
      'Filters found again from noise',
      'Sparsity',
      'Linear regions',
    ])
    expect(told).toContain('strongest patches of conv(3, 6), relu among 3 pictures')
    // 3 pictures with occlusion and saliency; filters; 2 layers of maps of 3; 5 and 6 maps with patches and reconstructions, less
    // those that respond to nothing; 2 found, 1 of them beside its weights; regions.
    const found = images(page)
    const dead = [...page.matchAll(/<th scope="row" class="text">relu<\/th>.*<td>(\d+)<\/td><\/tr>/g)].reduce(
      (sum, [, count]) => sum + Number(count),
      0,
    )
    expect(found).toHaveLength(9 + 1 + 6 + 2 * (11 - dead) + 3 + 1)
    for (const { src, alt } of found) {
      expect(alt.length).toBeGreaterThan(10)
      expect(decodePng(new Uint8Array(Buffer.from(src, 'base64')), 'image').width).toBeGreaterThan(0)
    }
    expect(page).not.toMatch(/(?:src|href)="(?!data:)|url\(|@import|<script/)
    // Names are text.
    expect(page).toContain('&lt;b&gt;net&lt;/b&gt;')
    expect(page).toContain('&lt;i&gt;cat&lt;/i&gt;')
    expect(page).toContain('three &lt;u&gt;.png')
    expect(page).not.toMatch(/<b>|<u>|<i>cat/)
    expect(page).toMatch(/their correlation with the weights is 0\.9\d\d on average/)
    expect(page).toContain('A unit sees 3 × 3 pixels.')
    expect(page).toContain('A unit sees 8 × 8 pixels.')
    expect((await look(net, [first!, second!, third!])).page).toBe(page)
  })

  it('shows a small square of the plane where linear regions are too small to be seen', async () => {
    const of = async (model: string): Promise<{ page: string; count: number }> => {
      const { page } = await look(model, [first!, second!, third!])
      const [, count = ''] = /into ([\d,]+) regions or more: so many are met by 9,216 points/.exec(page) ?? []
      return { page, count: Number(count.replaceAll(',', '')) }
    }
    // Four units can be active in sixteen ways at most.
    const few = new Sequential(
      [new Flatten(), new Linear({ outFeatures: 4 }), new ReLU(), new Linear({ outFeatures: 4 })],
      { input: [3, 12, 12], seed: 3 },
    )
    const coarse = await of(save('few.safetensors', few, [3, 12, 12], names(4)))
    expect(coarse.page).toContain('A plane through three pictures')
    expect(coarse.count).toBeGreaterThan(1)
    expect(coarse.count).toBeLessThanOrEqual(16)
    const many = new Sequential(
      [
        new Conv2d({ outChannels: 40, kernel: 3, biasInit: { name: 'normal', std: 0.5 } }),
        new ReLU(),
        new Flatten(),
        new Linear({ outFeatures: 4 }),
      ],
      { input: [3, 12, 12], seed: 3 },
    )
    const fine = await of(save('many.safetensors', many, [3, 12, 12], names(4)))
    expect(fine.page).toMatch(
      /too small to be seen: 9,216 points meet [\d,]+ of them\. So a small square .* with sides of 1\/(4|32|256) of the way/,
    )
    expect(fine.count).toBeGreaterThan(1)
    expect(fine.count * 8).toBeLessThanOrEqual(9216)
  })

  it('tells the right class of a picture in the folder of a class, and explains that', async () => {
    const { page, told } = await look(net, [first!, second!])
    expect(page.match(/the right class is not known/g)).toHaveLength(1)
    expect(page).toContain('right: class 1')
    expect(page).toContain('saliency of class 1')
    expect(sections(page)).not.toContain('Linear regions')
    expect(page).toContain('Linear regions: three pictures are needed')
    expect(told).toContain('not shown: Linear regions: three pictures are needed')
  })

  it('shows the layers that are named', async () => {
    const { page } = await look(net, [first!], { layer: ['2'] })
    expect(page).toContain('<h3>pool(2) <code>layer 2</code></h3>')
    expect(page).not.toContain('conv(3, 6), relu')
    expect(page).toContain('toeplitz look ')
  })

  it('says which layer stops a reconstruction, and shows the patches', async () => {
    const bent = save('bent.safetensors', own([new Sigmoid()]), [3, 12, 12], names(4))
    const { page } = await look(bent, [first!, second!, third!], { layer: ['1', '5'] })
    expect(page).toContain(
      'Reconstructions of relu: layer &#39;4&#39;, sigmoid, cannot be passed backwards; choose a layer before it.',
    )
    expect(page).toContain('Linear regions: layer &#39;4&#39;, sigmoid, is not piecewise linear')
    expect(page).toContain('patches to which map')
  })

  it('is looked at with the data of its run, or of another by name', async () => {
    const architecture = new Sequential(
      [new Conv2d({ outChannels: 4, kernel: 2 }), new ReLU(), new Flatten(), new Linear({ outFeatures: 10 })],
      { input: [1, 4, 4] },
    )
    writeFileSync(at('arch.json'), JSON.stringify(architecture))
    architecture.dispose()
    const run = at('run')
    await train({ ...tinyOptions, model: at('arch.json'), dataDir, out: run, epochs: 1, batchSize: 8 })
    const { page } = await look(run, [], { dataDir, images: 15 })
    expect(page).toContain('test pictures of mnist')
    expect(page).toContain('<dt>Pictures</dt><dd>15<')
    expect(page).toContain('picture 1 of mnist <code>right: 0</code>')
    const byFile = await look(join(run, 'model.safetensors'), [], { dataDir, images: 15 })
    expect(sections(byFile.page)).toEqual(sections(page))
    // A model without a run's folder says what is missing, and takes data by name.
    renameSync(join(run, 'model.safetensors'), at('alone.safetensors'))
    await expect(look(at('alone.safetensors'), [])).rejects.toThrow(
      /^no picture is named, and what \S+alone\.safetensors was trained on is not known; give pictures, or a data set by --data$/,
    )
    expect((await look(at('alone.safetensors'), [], { dataDir, data: 'mnist', images: 15 })).page).toContain(
      'test pictures of mnist',
    )
  })
})

describe('a model without convolutions', () => {
  it.each([
    [
      'linear',
      () => linearClassifier({ input: [3, 12, 12], classes: 4 }),
      '4 templates of 12 × 12 pixels in red, green and blue',
    ],
    [
      'two-layer',
      () => twoLayerClassifier({ input: [1, 12, 12], classes: 4, hidden: 9 }),
      '9 templates of 12 × 12 pixels, all on one scale',
    ],
  ] as const)(
    'shows the weights of a %s one as pictures, and says what needs a convolution',
    async (name, make, about) => {
      const model = make()
      const path = save(`${name}.safetensors`, model, [name === 'linear' ? 3 : 1, 12, 12], names(4))
      const { page, told } = await look(path, [first!, second!, third!])
      expect(sections(page).slice(0, 3)).toEqual([
        'Answers, and where they come from',
        'Weights of the first layer as pictures',
        'Sparsity',
      ])
      expect(sections(page).at(-1)).toBe('Not shown')
      expect(sections(page).includes('Linear regions')).toBe(name === 'two-layer')
      expect(page).toContain(about)
      const why =
        'Feature maps, strongest patches, reconstructions and filters found from noise: they need a convolution, and the model has none.'
      expect(page).toContain(why)
      expect(told).toContain(`not shown: ${why}`)
      await expect(look(path, [first!], { layer: ['0'] })).rejects.toThrow(
        /^--layer 0: the model has no convolution, so that there are no feature maps to look at; leave --layer out$/,
      )
    },
  )

  it('and without weights that are pictures is refused', async () => {
    const model = new Sequential([new MaxPool2d({ kernel: 2 }), new Flatten(), new Linear({ outFeatures: 4 })], {
      input: [1, 12, 12],
    })
    const path = save('none.safetensors', model, [1, 12, 12], names(4))
    await expect(look(path, [first!])).rejects.toThrow(
      /^<b>net<\/b>: there is nothing to look at: the weights \(4, 36\) of layer '2', fc\(4\), are no pictures/,
    )
  })
})

describe('what cannot be looked at', () => {
  const cases: readonly (readonly [what: string, run: () => Promise<unknown>, message: RegExp])[] = [
    ['a picture smaller than the receptive field', () => look(net, [picture('small.png', 1, [9, 7])]), /small\.png: has 9 × 7 pixels, fewer than the receptive field of layer 4, conv\(3, 6\), relu, 8 × 8; give a larger picture, or layers nearer to the input by --layer$/],
    ['a damaged picture', () => look(net, [at('damaged.png')]), /damaged\.png/],
    ['a picture that is not there', () => look(net, [at('absent.png')]), /absent\.png/],
    ['a folder', () => look(net, [at('class 1')]), /class 1: is a folder; name its pictures, or give a folder of classes by --data$/],
    ['too many pictures', () => look(net, new Array<string>(25).fill(first!)), /there are 25 pictures; at most 24 are looked at/],
    ['a layer that is not there', () => look(net, [first!], { layer: ['conv1'] }), /^--layer conv1: there is no layer 'conv1'/],
    ['a layer without maps', () => look(net, [first!], { layer: ['6'] }), /^--layer 6: fc\(4\) gives 4 numbers and no feature maps; layers with maps are 0, 1, 2, 3, 4$/],
    ['a page of another name', () => look(net, [first!], { out: at('net.safetensors') }), /--out \S+net\.safetensors: the page is HTML; give a name that ends in \.html$/],
    ['a model that is none', () => look(first!, [second!]), /one\.png/],
    ['data of other classes', () => look(net, [], { data: 'mnist', dataDir }), /mnist: its classes are not those of the model/],
  ] // prettier-ignore
  it.each(cases)('is %s', async (_, run, message) => {
    writeFileSync(at('damaged.png'), readFileSync(first!).subarray(0, 60))
    const before = memoryUsage().liveBytes
    await expect(run()).rejects.toThrow(message)
    expect(memoryUsage().liveBytes).toBe(before)
  })

  it('ends the command with one line and its exit code', async () => {
    let told = ''
    const stream = { write: (text: string) => (told += text) }
    const streams = { stdout: stream, stderr: stream }
    expect(await runCli(['look', net, first!, '--layer', '6', '--out', at('x.html')], undefined, streams)).toBe(2)
    expect(told).toMatch(/^toeplitz: --layer 6: .*\n$/)
    told = ''
    expect(await runCli(['look', net, picture('tiny.png', 1, [2, 2]), '--out', at('x.html')], undefined, streams)).toBe(
      1,
    )
    expect(told).toMatch(
      /^toeplitz: .*tiny\.png: has 2 × 2 pixels, fewer than the receptive field of layer 1, conv\(3, 5\), relu, 3 × 3; .*\n$/,
    )
    told = ''
    expect(await runCli(['look', net, first!, '--images', '0'], undefined, streams)).toBe(2)
  })
})
