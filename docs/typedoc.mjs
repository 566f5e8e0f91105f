/** For typedoc: members of a type that is written inline are described by what they belong to, as those of parameters. */
import { Converter, ReflectionKind } from 'typedoc'

const within = (reflection, kind) =>
  reflection.parent !== undefined && (reflection.parent.kindOf(kind) || within(reflection.parent, kind))

export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    const inline = project
      .getReflectionsByKind(ReflectionKind.Property)
      .filter((property) => property.parent?.kindOf(ReflectionKind.TypeLiteral))
      .filter((property) => !property.hasComment() && !within(property, ReflectionKind.Parameter))
    const names = new Set(inline.map((property) => property.getFriendlyFullName()))
    app.options.getValue('intentionallyNotDocumented').push(...names)
  })
}
