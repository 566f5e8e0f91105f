/** Every example of docs/chapter-9.md runs against the source and prints what the page says it prints. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { format } from 'node:util'
import { beforeAll, describe, expect, it } from 'vitest'
import * as toeplitz from '../../src/index.js'
import * as audio from '../../src/audio/index.js'
import * as data from '../../src/data/index.js'
import * as features from '../../src/features/index.js'
import * as node from '../../src/node/index.js'
import * as priors from '../../src/priors/index.js'
import * as vision from '../../src/vision/index.js'
import * as zoo from '../../src/zoo/index.js'

interface Example {
  readonly heading: string
  /** Line of the page where the code begins, from 1. */
  readonly line: number
  readonly code: string
  /** The ```text block right below; undefined when there is none. */
  readonly output: string | undefined
}

/** The ```js blocks of a page. */
function examplesIn(page: string): Example[] {
  return [...page.matchAll(/^```js\n([\s\S]*?)^```\n(?:\n*^```text\n([\s\S]*?)^```$)?/gm)].map((match) => {
    const before = page.slice(0, match.index)
    return {
      heading: [...before.matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? '',
      line: before.split('\n').length + 1,
      code: match[1]!,
      output: match[2],
    }
  })
}

type Compiled = (
  library: Readonly<Record<string, unknown>>,
  console: { log(...items: unknown[]): void },
) => Promise<void>
const { constructor: AsyncFunction } = Object.getPrototypeOf(async () => Promise.resolve()) as {
  readonly constructor: new (...parametersAndBody: string[]) => Compiled
}

/** What the page imports. */
const entries: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  toeplitz,
  'toeplitz/audio': audio,
  'toeplitz/data': data,
  'toeplitz/features': features,
  'toeplitz/node': node,
  'toeplitz/priors': priors,
  'toeplitz/vision': vision,
  'toeplitz/zoo': zoo,
}
const library = Object.assign({}, ...Object.values(entries)) as Readonly<Record<string, unknown>>

/** Runs a module whose only imports are the library's; gives what it printed. */
async function run(code: string): Promise<string> {
  const body = code.replace(/^import \{([^}]*)\} from '(toeplitz[/\w]*)'$/gm, (_, names: string, entry: string) => {
    const own = entries[entry] ?? {}
    const missing = names
      .split(',')
      .map((name) => name.trim())
      .filter((name) => name !== '' && !(name in own))
    if (missing.length > 0) throw new Error(`${entry} does not export ${missing.join(', ')}`)
    return `const {${names}} = library`
  })
  let printed = ''
  await new AsyncFunction('library', 'console', body)(library, {
    log: (...items) => {
      printed += `${format(...items)}\n`
    },
  })
  return printed
}

/** Runs an example. @throws an assertion error when it has no output block, or prints something else. */
async function check({ code, output }: Example): Promise<void> {
  expect(output, 'a ```text block must follow the code').toBeDefined()
  expect(await run(code)).toBe(output)
}

const docs = join(import.meta.dirname, '..', '..', 'docs')
const page = readFileSync(join(docs, 'chapter-9.md'), 'utf8')

/** The anchor that a heading gets: lower case, without punctuation, hyphens for spaces. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{Letter}\p{Number} -]/gu, '')
    .replaceAll(' ', '-')

beforeAll(() => toeplitz.init())

describe('docs/chapter-9.md', () => {
  const examples = examplesIn(page)

  it.each(examples)('$heading (line $line) prints what it says', check)

  it('leaves no block of code out', () => {
    expect(examples.length).toBeGreaterThan(30)
    expect(examples).toHaveLength([...page.matchAll(/^ *(?:```|~~~)(?:js|javascript|mjs|ts)\b/gm)].length)
  })

  const rows = [...page.matchAll(/^\| ((?:Equation|Figure|Table|Section)s? .*?) +\|(.*)\|(.*)\| \[↓\]\(#(.*)\) +\|$/gm)]

  it('has every numbered equation, figure and table, and every section in its contents', () => {
    const numbers = (word: string): string[] =>
      rows.flatMap(([, name]) => {
        const [, first, , last] = new RegExp(`^${word}s? 9\\.(\\d+)((?:–| and )9\\.(\\d+))?$`).exec(name!) ?? []
        if (first === undefined) return []
        const from = Number(first)
        return Array.from({ length: Number(last ?? first) - from + 1 }, (_, i) => `9.${from + i}`)
      })
    const upTo = (count: number): string[] => Array.from({ length: count }, (_, i) => `9.${i + 1}`)
    expect(numbers('Equation')).toEqual(upTo(19))
    expect(numbers('Figure')).toEqual(upTo(19))
    expect(numbers('Table')).toEqual(upTo(1))
    expect([...new Set(numbers('Section'))]).toEqual(upTo(11))
    const bySection = [...page.matchAll(/^\| (9\.\d+) [A-Z]/gm)].map((match) => match[1])
    expect(bySection).toEqual(upTo(11))
  })

  it('has text under each heading, and links between its parts that lead somewhere', () => {
    const headings = [...page.matchAll(/^#{1,3} (.*)\n\n(.*)$/gm)]
    expect(headings.filter((match) => /^(#|$)/.test(match[2]!)).map((match) => match[1])).toEqual([])
    const anchors = new Set(headings.map((match) => anchor(match[1]!)))
    const links = [...page.matchAll(/\]\(#(.*?)\)/g)].map((match) => match[1]!)
    expect(links.filter((link) => !anchors.has(link))).toEqual([])
    const files = [...page.matchAll(/\]\(([^#)]+\.md)[^)]*\)|src="(.*?)"/g)].map((match) => match[1] ?? match[2]!)
    expect(files.filter((file) => !file.startsWith('http') && !existsSync(join(docs, file)))).toEqual([])
  })

  it('links each row of the contents to a part, and each part from a row', () => {
    const anchors = [...page.matchAll(/^### (.*)$/gm)].map((match) => anchor(match[1]!))
    expect(new Set(rows.map((row) => row[4]))).toEqual(new Set(anchors))
  })

  it('names only functions that exist, and gives each row its code or says "not yet"', () => {
    for (const [, name, , functions, target] of rows) {
      const mentioned = [...functions!.matchAll(/`([a-z]\w+)`/gi)].map((match) => match[1]!)
      const options = ['flip', 'stride', 'padding', 'bias', 'groups', 'ceil']
      expect(
        mentioned.filter((word) => !options.includes(word) && !(word in library)),
        name,
      ).toEqual([])
      const withCode = examples.some(({ heading }) => anchor(heading) === target)
      expect(withCode, name).toBe(functions!.trim() !== 'not yet')
    }
  })
})

describe('the check of examples', () => {
  const fence = '```'
  const block = (code: string, after: string): Example =>
    examplesIn(`# Title\n\n${fence}js\n${code}\n${fence}\n\n${after}`)[0]!
  const text = (output: string): string => `${fence}text\n${output}\n${fence}\n`
  const code = "import { init, tensor } from 'toeplitz'\n\nawait init()\nconsole.log(String(tensor([1, 2])))"

  it('passes when the output is the same', async () => {
    await check(block(code, text('Tensor (2) float32 [1, 2]')))
  })

  it.each<[string, Example]>([
    ['the output differs', block(code, text('Tensor (2) float32 [1, 3]'))],
    ['more is printed than the page says', block(`${code}\nconsole.log(1)`, text('Tensor (2) float32 [1, 2]'))],
    ['there is no output block', block(code, 'Text.\n')],
    ['the output block comes after other text', block(code, `Text.\n\n${text('Tensor (2) float32 [1, 2]')}`)],
    ['the code throws', block('throw new Error()', text(''))],
    ['the code uses what the library does not export', block("import { magic } from 'toeplitz'", text(''))],
  ])('fails when %s', async (_, example) => {
    await expect(check(example)).rejects.toThrow()
  })
})
