import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arrange, type Region, type Span } from '../../src/graph/arena.js'

const LINE = 64

const spans = fc.array(
  fc
    .record({ bytes: fc.integer({ min: 0, max: 2000 }), first: fc.nat(20), length: fc.nat(6) })
    .map(({ bytes, first, length }): Span => ({ bytes, first, last: first + length })),
  { maxLength: 40 },
)
const regions = fc.array(fc.record({ bytes: fc.integer({ min: 0, max: 4000 }), before: fc.nat(26) }), { maxLength: 3 })

const meet = (a: Span, b: Span): boolean => a.first <= b.last && b.first <= a.last

/** The most that is in use at one step. */
const mostAtOnce = (all: readonly Span[]): number =>
  Math.max(
    0,
    ...Array.from({ length: 27 }, (_, step) =>
      all
        .filter(({ first, last }) => first <= step && step <= last)
        .reduce((sum, { bytes }) => sum + Math.max(LINE, Math.ceil(bytes / LINE) * LINE), 0),
    ),
  )

describe('arrange', () => {
  it('lets no two spans overlap that are in use at the same time, inside of their regions', () => {
    fc.assert(
      fc.property(spans, regions, (all: Span[], given: Region[]) => {
        const { placements, bytes } = arrange(all, given)!
        all.forEach((span, i) => {
          const { region, offset } = placements[i]!
          const end = offset + span.bytes
          expect(offset % LINE).toBe(0)
          expect(end).toBeLessThanOrEqual(region === 0 ? bytes : given[region - 1]!.bytes)
          if (region > 0) expect(span.last).toBeLessThan(given[region - 1]!.before)
          for (let j = 0; j < i; j++) {
            const other = placements[j]!
            if (other.region !== region || !meet(span, all[j]!)) continue
            expect(end <= other.offset || other.offset + all[j]!.bytes <= offset).toBe(true)
          }
        })
        expect(bytes).toBeGreaterThanOrEqual(given.length === 0 ? mostAtOnce(all) : 0)
      }),
    )
  })

  it('needs hardly more for a chain than what is in use at once', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 26 }), (sizes) => {
        const chain = sizes.map((bytes, step): Span => ({ bytes, first: step, last: step + 1 }))
        expect(arrange(chain)!.bytes).toBeLessThanOrEqual(1.5 * mostAtOnce(chain))
      }),
    )
  })

  it('gives up where very many live very long', () => {
    const star = Array.from({ length: 2000 }, (_, i): Span => ({ bytes: 64, first: i, last: 2000 }))
    expect(arrange(star)).toBeUndefined()
  })

  it('puts values of a chain into the memory of its result', () => {
    const chain = Array.from({ length: 20 }, (_, step): Span => ({ bytes: 640, first: step, last: step + 1 }))
    expect(arrange(chain)!.bytes).toBe(2 * 640)
    expect(arrange(chain, [{ bytes: 640, before: 20 }])!.bytes).toBe(640)
  })
})
