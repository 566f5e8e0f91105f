/** WAV files made by hand. */

interface WavOptions {
  readonly bits?: number
  readonly isFloat?: boolean
  readonly extensible?: boolean
  readonly rate?: number
  /** What the header says in place of what is so. */
  readonly size?: number
  readonly code?: number
  readonly block?: number
  readonly saidBits?: number
  readonly guid?: number
  readonly magic?: string
  readonly dataFirst?: boolean
  readonly before?: readonly (readonly [kind: string, bytes: readonly number[]])[]
  readonly after?: readonly (readonly [kind: string, bytes: readonly number[]])[]
}

const letters = (text: string): number[] => Array.from(text, (letter) => letter.charCodeAt(0))
const u16 = (value: number): number[] => [value & 255, (value >> 8) & 255]
const u32 = (value: number): number[] => [...u16(value & 0xffff), ...u16(value >>> 16)]

/** The bytes of a sample. */
function sampleBytes(value: number, bits: number, isFloat: boolean): number[] {
  const view = new DataView(new ArrayBuffer(8))
  if (isFloat && bits === 64) view.setFloat64(0, value, true)
  else if (isFloat) view.setFloat32(0, value, true)
  else if (bits === 8) view.setUint8(0, value * 128 + 128)
  else view.setInt32(0, value * 2 ** (bits - 1), true)
  return Array.from(new Uint8Array(view.buffer, 0, bits / 8))
}

const chunk = (kind: string, bytes: readonly number[], size = bytes.length): number[] => [
  ...letters(kind),
  ...u32(size),
  ...bytes,
  ...(bytes.length % 2 === 1 ? [0] : []),
]

/** A file of moments, each with a sample of every channel. */
export function wav(moments: readonly (readonly number[])[], options: WavOptions = {}): Uint8Array<ArrayBuffer> {
  const { bits = 16, isFloat = false, extensible = false, rate = 8000, guid = 0, magic = 'RIFF' } = options
  const channels = moments[0]?.length ?? 1
  const own = isFloat ? 3 : 1
  const { code = extensible ? 0xfffe : own, block = (channels * bits) / 8, saidBits = bits } = options
  const guids = [...u16(own), guid, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]
  const format = chunk('fmt ', [
    ...[...u16(code), ...u16(channels), ...u32(rate), ...u32(rate * block), ...u16(block), ...u16(saidBits)],
    ...(extensible ? [...u16(22), ...u16(bits), ...u32(0), ...guids] : []),
  ])
  const samples = moments.flatMap((moment) => moment.flatMap((value) => sampleBytes(value, bits, isFloat)))
  const data = chunk('data', samples, options.size ?? samples.length)
  const chunksOf = (list: WavOptions['before'] = []): number[] => list.flatMap(([kind, bytes]) => chunk(kind, bytes))
  const body = options.dataFirst === true ? [...data, ...format] : [...format, ...chunksOf(options.before), ...data]
  const content = [...letters('WAVE'), ...body, ...chunksOf(options.after)]
  return Uint8Array.from([...letters(magic), ...u32(content.length), ...content])
}
