import { Kind, type Location, type ValueNode } from 'graphql'
import { numberPrecision, numberSurvives } from '../core/json/number.ts'
import { formatPath } from '../core/json/path.ts'
import { jsonRefusal, type Place, tooDeep } from '../core/json/refusals.ts'

/**
 * Refuses in a literal of a GraphQL document what is refused in JSON text, by the same codes and words: executing it would
 * lose or change it without a word. Enum values and variables pass.
 * @param steps where the literal stands
 * @throws AppError JSON_*, with `path`, `line` and `column` in its details
 */
export function checkJsonLiteral(literal: ValueNode, steps: readonly (string | number)[], maxDepth: number): void {
  const path = [...steps]
  const pathText = (): string => formatPath(path)

  function check(node: ValueNode, depth: number): void {
    switch (node.kind) {
      case Kind.INT:
      case Kind.FLOAT:
        if (!numberSurvives(node.value)) throw numberPrecision(pathText(), placeOf(node.loc))
        return
      case Kind.STRING:
        checkText(node.value, node.loc)
        return
      case Kind.LIST:
        if (depth > maxDepth) throw tooDeep(maxDepth, pathText(), placeOf(node.loc))
        for (const [index, item] of node.values.entries()) {
          path.push(index)
          check(item, depth + 1)
          path.pop()
        }
        return
      case Kind.OBJECT: {
        if (depth > maxDepth) throw tooDeep(maxDepth, pathText(), placeOf(node.loc))
        const names = new Set<string>()
        for (const { name, value } of node.fields) {
          path.push(name.value)
          if (names.has(name.value)) throw jsonRefusal('JSON_DUPLICATE_KEY', pathText(), placeOf(name.loc))
          names.add(name.value)
          check(value, depth + 1)
          path.pop()
        }
        return
      }
      default:
    }
  }

  function checkText(text: string, at: Location | undefined): void {
    if (!text.isWellFormed()) throw jsonRefusal('JSON_LONE_SURROGATE', pathText(), placeOf(at))
    if (text.includes('\0')) throw jsonRefusal('JSON_NUL_CHARACTER', pathText(), placeOf(at))
  }

  check(literal, 1)
}

function placeOf(location: Location | undefined): Place {
  if (location === undefined) return {}
  const { line, column } = location.startToken
  return { line, column }
}
