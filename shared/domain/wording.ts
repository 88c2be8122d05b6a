import type * as z from 'zod';

const TYPES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'fields with values',
  record: 'fields with values',
  null: 'nothing',
};

/**
 * What is wrong with a value, where its schema has no words of its own: for `safeParse(value, { error: inWords })`. Says what
 * to write, in the terms of a file rather than of a schema, and never quotes the value, which may be a secret.
 */
export const inWords: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type': {
      const wanted = typeText(issue.expected);
      if (issue.input === undefined) return `is missing; write ${wanted}`;
      const given = typeText(kindOf(issue.input));
      return `write ${wanted} here${given === 'a number' && issue.expected === 'int' ? '' : `, not ${given}`}`;
    }
    case 'invalid_value': {
      const choices = issue.values.map(String);
      const wanted = choices.length === 1 ? `write ${choices[0]}` : `use one of ${choices.join(', ')}`;
      return issue.input === undefined ? `is missing; ${wanted}` : wanted;
    }
    case 'too_small':
      return sizeText(issue.origin, 'at least', issue.minimum);
    case 'too_big':
      return sizeText(issue.origin, 'at most', issue.maximum);
    case 'unrecognized_keys':
      return 'nobody knows this key; correct its spelling or remove it';
    case 'custom':
    case 'invalid_element':
    case 'invalid_format':
    case 'invalid_key':
    case 'invalid_union':
    case 'not_multiple_of':
      return 'has a form that nobody knows';
  }
};

function sizeText(origin: string, bound: 'at least' | 'at most', limit: number | bigint): string {
  const least = bound === 'at least';
  switch (origin) {
    case 'string':
      return least && limit === 1 ? 'must not be empty' : `write ${bound} ${limit} characters`;
    case 'array':
      return least && limit === 1 ? 'must not be empty' : `name ${bound} ${limit}`;
    default:
      return `write a number of ${bound} ${limit}`;
  }
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'array' : typeof value;
}

function typeText(type: string): string {
  return TYPES[type] ?? type;
}
