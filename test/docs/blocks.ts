/** Blocks of code in a page of Markdown, and what the page says that they print. */

export interface Block {
  /** The heading above it. */
  readonly heading: string
  /** Line of the page where the code begins, from 1. */
  readonly line: number
  /** What stands behind the fence: the language, and for what it is where that is not Node. */
  readonly kind: string
  readonly code: string
  /** The text block right below; undefined when there is none. */
  readonly output: string | undefined
}

export function blocksIn(page: string): Block[] {
  return [...page.matchAll(/^```(\S.*)\n([\s\S]*?)^```\n(?:\n*^```text\n([\s\S]*?)^```$)?/gm)]
    .filter((match) => match[1] !== 'text')
    .map((match) => {
      const before = page.slice(0, match.index)
      return {
        heading: [...before.matchAll(/^#+ (.*)$/gm)].at(-1)?.[1] ?? '',
        line: before.split('\n').length + 1,
        kind: match[1]!,
        code: match[2]!,
        output: match[3],
      }
    })
}
