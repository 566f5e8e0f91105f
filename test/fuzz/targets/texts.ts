/** Texts that are typed: the values of options of the command, which commander refuses by an error of its own. */
import { InvalidArgumentError } from 'commander'
import * as parsers from '../../../src/cli/options.js'
import type { Json } from '../mutate.js'
import { interesting } from '../random.js'
import { accepted, defineTarget, expect } from '../target.js'

const named = parsers as unknown as Record<string, (text: string) => unknown>
const names = Object.keys(parsers).filter((name) => /^parse|Of$/.test(name) && !/^choice/.test(name))

const parts = [
  'flip',
  'shift=',
  'crop=',
  'brightness=',
  'gaussian=',
  '..',
  ',',
  '=',
  '-',
  '+',
  '.',
  'e',
  '0x',
  'NaN',
  'Infinity',
  'none',
  'he',
  'default',
  ' ',
  '\u0000',
  '\u001b[31m',
  '__proto__',
  'vgg16',
  'convnet',
  '\n',
  '9'.repeat(400),
]

/** Whether a value holds no number that is none. */
const isFinite = (value: unknown): boolean =>
  typeof value === 'number'
    ? Number.isFinite(value)
    : typeof value === 'object' && value !== null
      ? Object.values(value).every(isFinite)
      : true

export default defineTarget<Json>({
  about: 'texts for the options of the command: numbers, ranges, lists, names',
  cases: 300,
  make: (random) => [
    random.pick(names),
    random
      .list(random.between(0, 4), () => (random.chance(0.5) ? random.pick(parts) : String(random.pick(interesting))))
      .join(''),
  ],
  check(input) {
    const [name = '', text = ''] = input as string[]
    try {
      const value = (named[name] as (text: string) => unknown)(text)
      expect(isFinite(value), `${name} makes ${String(value)} of ${JSON.stringify(text)}`)
      return accepted()
    } catch (error) {
      if (error instanceof InvalidArgumentError) return 'refused'
      throw error
    }
  },
})
