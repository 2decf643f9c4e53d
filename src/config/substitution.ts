/** The environment that `${NAME}` reads from, as `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Why a `${…}` could not be filled in; `written` is the text that stands in the file. */
export interface SubstitutionProblem {
  readonly written: string;
  readonly reason: string;
}

export interface Substitution {
  readonly text: string;
  /** Some of the text came from a variable, or from a default in its place: it may be a secret. */
  readonly filled: boolean;
  /** The text is one `${…}` and nothing else. */
  readonly whole: boolean;
  readonly problems: readonly SubstitutionProblem[];
}

/**
 * Fills in `${NAME}` and `${NAME:-default}`; `$${` stands for a literal `${`. The default counts when the variable is
 * unset or empty, as in a shell, and ends at the first `}`. What was filled in is not read again, so a variable's value
 * cannot name another variable.
 */
export function substitute(text: string, environment: Environment): Substitution {
  let at = text.indexOf("${");
  if (at === -1) return { text, filled: false, whole: false, problems: [] };
  const problems: SubstitutionProblem[] = [];
  let result = "";
  let from = 0;
  let filled = false;
  let whole = false;
  for (; at !== -1; at = text.indexOf("${", from)) {
    if (at > from && text[at - 1] === "$") {
      result += `${text.slice(from, at - 1)}\${`;
      from = at + 2;
      continue;
    }
    result += text.slice(from, at);
    const end = text.indexOf("}", at);
    if (end === -1) {
      problems.push({ written: text.slice(at), reason: 'the "${" is never closed; "$${" is a literal "${"' });
      from = text.length;
      break;
    }
    const written = text.slice(at, end + 1);
    const inner = text.slice(at + 2, end);
    const split = inner.indexOf(":-");
    const name = split === -1 ? inner : inner.slice(0, split);
    filled = true;
    whole = at === 0 && end === text.length - 1;
    from = end + 1;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      problems.push({ written, reason: `expected \${NAME} or \${NAME:-default}` });
      continue;
    }
    // An own property only: `${constructor}` is no variable.
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (split !== -1) result += value === undefined || value === "" ? inner.slice(split + 2) : value;
    else if (value !== undefined) result += value;
    else
      problems.push({
        written,
        reason: `the environment has no variable ${name}; a default is written \${${name}:-default}`,
      });
  }
  return { text: result + text.slice(from), filled, whole, problems };
}
