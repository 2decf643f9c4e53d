/** `name{label="value",…}`, the form in which `Gauges` takes names with labels; quotes and backslashes are escaped. */
export function metricKey(name: string, labels: Readonly<Record<string, string>>): string {
  let text = "";
  for (const label in labels) {
    const value = (labels[label] ?? "").replaceAll("\\", "\\\\").replaceAll('"', '\\"');
    text += `${text === "" ? "" : ","}${label}="${value}"`;
  }
  return text === "" ? name : `${name}{${text}}`;
}
