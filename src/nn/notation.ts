/**
 * Layers in the notation of the lecture: conv(kernel, filters, pPadding, sStride), pool(kernel, stride, pPadding). Options
 * stand in the order in which they were given; those that change nothing are left out.
 */

/** Letter of each option, and the value that is not worth saying. */
const letters: { readonly [option: string]: readonly [letter: string, plain: readonly unknown[]] } = {
  padding: ['p', [0, 'valid']],
  stride: ['s', [1]],
  dilation: ['d', [1]],
  groups: ['g', [1]],
}

const show = (value: unknown): string =>
  Array.isArray(value) && value.every((item) => typeof item === 'number')
    ? value.every((item) => item === value[0])
      ? String(value[0])
      : value.join('×')
    : typeof value === 'string'
      ? `-${value}`
      : Array.isArray(value)
        ? JSON.stringify(value)
        : String(value)

/** `name(leading…, option…)`; `except` are options that `leading` already says. */
export function notation(
  name: string,
  options: object,
  leading: readonly unknown[],
  except: readonly string[] = [],
): string {
  const rest = Object.entries(options).flatMap(([option, value]) => {
    const known = Object.hasOwn(letters, option) && !except.includes(option) ? letters[option] : undefined
    return !known || value === undefined || known[1].includes(value) ? [] : [`${known[0]}${show(value)}`]
  })
  return `${name}(${[...leading.map(show), ...rest].join(', ')})`
}
