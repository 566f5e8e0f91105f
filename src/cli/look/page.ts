/** The page of `toeplitz look`: one HTML document with everything in it, in the style of the reports. */
import { escapeHtml, renderPage, scrollable } from '../html.js'
import { counted, formatCount, formatPercent } from '../numbers.js'
import { colourScale, formatSure, formatWeight, pngSource } from '../pictures.js'
import type { Drawn, LayerMaps, LayerTitle, LookData, SeenPicture, ShownUnit } from './records.js'

/** Rules beside those of all pages. */
const style = `
.look img { display: block; max-width: 100%; height: auto; image-rendering: pixelated; }
.look h3, .look p, .look figcaption { overflow-wrap: anywhere; }
.seen { margin-top: 28px; }
.seen > div > * { min-width: 0; }
.maps > div { min-width: 0; }
.seen > div { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 168px), 1fr)); gap: 20px 28px; align-items: start; }
.seen figcaption, .units figcaption, .pair figcaption { margin-top: 6px; font-size: 13px; }
.answers { width: 100%; table-layout: fixed; font-size: 13px; }
.answers th, .answers td { padding: 3px 0; border: 0; }
.answers th { font-weight: 400; text-align: left; white-space: normal; overflow-wrap: anywhere; }
.answers td { width: 5.5em; text-align: right; vertical-align: top; }
.answers .right th { font-weight: 650; }
.answers i { display: block; height: 6px; margin-top: 2px; background: var(--training); }
.answers .right i { background: var(--validation); }
.units { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); gap: 24px 28px; margin: 0; padding: 0; list-style: none; }
.units div, .pair { display: flex; flex-wrap: wrap; gap: 14px; align-items: start; }
.pair { gap: 20px 36px; }
.look h3 { margin-top: 28px; }
.look h3 code { font-size: 13px; font-weight: 400; color: var(--muted); }
.maps { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 352px), 1fr)); gap: 0 40px; }
.look details { margin-top: 10px; }
.look summary { cursor: pointer; font-size: 14px; color: var(--muted); margin-bottom: 6px; overflow-wrap: anywhere; }
.share { display: inline-block; width: 72px; height: 8px; margin-right: 8px; background: var(--faint); }
.share i { display: block; height: 100%; background: var(--training); }
.left { font-size: 14px; padding-left: 20px; overflow-wrap: anywhere; }
@media (max-width: 560px) {
  .seen > div { grid-template-columns: 1fr 1fr; gap: 16px; }
  .units { grid-template-columns: 1fr; }
  .share { width: 40px; }
}
`

const image = ({ picture, zoom, alt }: Drawn): string => {
  const text = escapeHtml(alt)
  return `<img src="${pngSource(picture)}" width="${picture.width * zoom}" height="${picture.height * zoom}" alt="${text}" title="${text}">`
}

const figure = (drawn: Drawn, caption: string): string =>
  `<figure>${image(drawn)}<figcaption>${caption}</figcaption></figure>`

const section = (title: string, lead: string, body: string): string =>
  body === '' ? '' : `<section class="look">\n<h2>${title}</h2>\n<p class="lead">${lead}</p>\n${body}\n</section>`

const heading = ({ name, title }: LayerTitle): string =>
  `<h3>${escapeHtml(title)} <code>layer ${escapeHtml(name)}</code></h3>`

export function renderLook(data: LookData): string {
  const parts = [
    renderSeen,
    renderWeights,
    renderMaps,
    renderUnits,
    renderFound,
    renderSparsity,
    renderRegions,
    renderLeft,
  ]
  return renderPage({
    title: `What ${data.model} sees`,
    kind: 'a look at a network',
    header: renderHeader(data),
    main: parts.map((render) => render(data)).join('\n'),
    version: data.version,
    style,
    plots: undefined,
  })
}

function renderHeader({ model, command, input, layers, parameters, source, images }: LookData): string {
  const figures: readonly (readonly [string, string, string])[] = [
    ['Input', input.join(' × '), 'channels, rows, columns'],
    ['Layers', formatCount(layers), 'in the model'],
    ['Parameters', formatCount(parameters), 'trained numbers'],
    ['Pictures', formatCount(images), escapeHtml(source)],
  ]
  return `<h1>${escapeHtml(model)} <span>what it sees</span></h1>
<dl class="figures">
${figures.map(([name, value, note]) => `<div><dt>${name}</dt><dd>${value}<small>${note}</small></dd></div>`).join('\n')}
</dl>
<dl class="facts">
<dt>Command</dt><dd><code>${escapeHtml(command)}</code></dd>
</dl>`
}

function renderSeen({ seen }: LookData): string {
  return section(
    'Answers, and where they come from',
    'The five most probable classes. A grey patch is moved over the picture: where it is red, covering lowers the probability of the class, ' +
      'where it is blue, covering raises it. Saliency is the size of the score’s gradient, pixel by pixel.',
    seen.map(renderPicture).join('\n'),
  )
}

function renderPicture({
  name,
  image: drawn,
  label,
  top,
  explained,
  probability,
  patch,
  drop,
  ...rest
}: SeenPicture): string {
  const rows = top.map(({ label: answer, probability: share }) => {
    const right = answer === label ? ' class="right"' : ''
    const width = (100 * share).toFixed(1)
    return `<tr${right}><th scope="row">${escapeHtml(answer)}<i style="width:${width}%"></i></th><td>${formatSure(share)}</td></tr>`
  })
  const known = label === undefined ? 'the right class is not known' : `right: ${escapeHtml(label)}`
  const of = escapeHtml(explained)
  return `<article class="seen">
<h3>${escapeHtml(name)} <code>${known}</code></h3>
<div>
${figure(drawn, 'as the model sees it')}
<table class="answers" aria-label="Most probable classes"><tbody>${rows.join('\n')}</tbody></table>
${figure(rest.occlusion, `occlusion of ${patch.join(' × ')} pixels; ${of}: ${formatSure(probability)}, at most ±${drop.toFixed(2)}`)}
${figure(rest.saliency, `saliency of ${of}`)}
</div>
</article>`
}

function renderWeights({ weights }: LookData): string {
  if (!weights) return ''
  const { layer, kind, about, limit, image: drawn } = weights
  const title = kind === 'filters' ? 'Filters of the first layer' : 'Weights of the first layer as pictures'
  const scale = limit === undefined ? '' : `${colourScale(-limit, limit)}\n`
  return section(title, `${escapeHtml(layer)}: ${escapeHtml(about)}`, `${scale}${image(drawn)}`)
}

function renderMaps({ maps, seen }: LookData): string {
  const layer = (each: LayerMaps): string => {
    const [first, ...others] = each.images.map(image)
    const more = others.map(
      (drawn, n) => `<details><summary>${escapeHtml(seen[n + 1]?.name ?? '')}</summary>${drawn}</details>`,
    )
    return `<div>${heading(each)}\n<p class="lead">${escapeHtml(each.about)}</p>\n${first ?? ''}\n${more.join('\n')}</div>`
  }
  return section(
    'Feature maps',
    `What the layers make of ${escapeHtml(seen[0]?.name ?? 'a picture')}. Maps without negative numbers are black at 0 and white at the largest; others are blue below 0 and red above.`,
    maps.length === 0 ? '' : `<div class="maps">${maps.map(layer).join('\n')}</div>`,
  )
}

function renderUnits({ units, source }: LookData): string {
  const unit = ({ map, response, patches, reconstructions }: ShownUnit): string =>
    `<li><figure><div>${image(patches)}${reconstructions ? image(reconstructions) : ''}</div>\
<figcaption>map ${map}, up to ${formatWeight(response)}</figcaption></figure></li>`
  return section(
    'What excites the maps',
    `On the left the patches, each of another picture among the ${escapeHtml(source)}, to which a map responds most; on the right what of them it responds to: ` +
      'its response alone is carried back to the pixels through unpooling by switches, rectifiers and transposed filters (Zeiler & Fergus 2014). Grey is 0.'.replace(
        '&',
        '&amp;',
      ),
    units
      .map(
        (each) =>
          `${heading(each)}\n<p class="lead">${escapeHtml(each.about)}</p>\n<ul class="units">${each.units.map(unit).join('\n')}</ul>`,
      )
      .join('\n'),
  )
}

function renderFound({ found }: LookData): string {
  return section(
    'Filters found again from noise',
    'Reverse correlation: white noise is shown, and the noise is averaged by the response to it, as the fields of cells are found in the visual cortex.',
    found
      .map((each) => {
        const weights = each.weights ? figure(each.weights, 'the weights') : ''
        return `${heading(each)}\n<p class="lead">${escapeHtml(each.about)}</p>\n<div class="pair">${figure(each.found, 'found from responses')}${weights}</div>`
      })
      .join('\n'),
  )
}

function renderSparsity({ sparsity, images }: LookData): string {
  if (sparsity.length === 0) return ''
  const share = (zeros: number): string =>
    `<span class="share" aria-hidden="true"><i style="width:${(100 * zeros).toFixed(1)}%"></i></span>${formatPercent(zeros, 1)}`
  const rows = sparsity.map(
    ({
      name,
      layer,
      zeros,
      units,
      dead,
    }) => `<tr><td>${escapeHtml(name)}</td><th scope="row" class="text">${escapeHtml(layer)}</th>\
<td>${share(zeros)}</td><td>${formatCount(units)}</td><td>${formatCount(dead.length)}</td></tr>`,
  )
  return section(
    'Sparsity',
    `Share of activations that are exactly 0, and units that are 0 for all of ${counted(images, 'picture')}, at every place: feature maps, or single numbers.`,
    scrollable(
      'Sparsity',
      `<table class="plain">
<thead><tr><th scope="col">Name</th><th scope="col" class="text">Layer</th><th scope="col">Zeros</th>\
<th scope="col">Units</th><th scope="col">Dead units</th></tr></thead>
<tbody>${rows.join('\n')}</tbody>
</table>`,
    ),
  )
}

const renderRegions = ({ regions }: LookData): string =>
  regions ? section('Linear regions', escapeHtml(regions.about), image(regions.image)) : ''

function renderLeft({ leftOut }: LookData): string {
  const rows = leftOut.map((line) => `<li>${escapeHtml(line)}</li>`).join('\n')
  return section(
    'Not shown',
    'What this model or these pictures have no part for.',
    rows && `<ul class="left">${rows}</ul>`,
  )
}
