/** Bars under one title. */
export interface BarGroup {
  readonly title: string;
  readonly bars: ReadonlyArray<{ readonly label: string; readonly value: number; readonly text: string }>;
}

const width = 860;
const labelWidth = 130;
const textWidth = 110;
const barHeight = 16;
const barGap = 4;
const titleHeight = 34;
const top = 64;

/** Horizontal bars; each group has a scale of its own. Colours suit light and dark pages. @param emphasis a label */
export function barChart(
  title: string,
  subtitle: string,
  groups: readonly BarGroup[],
  emphasis: string,
): string {
  const parts: string[] = [];
  let y = top;
  for (const group of groups) {
    y += titleHeight;
    parts.push(`<text x="0" y="${y - 8}" class="group">${xmlText(group.title)}</text>`);
    const longest = Math.max(...group.bars.map((bar) => bar.value), Number.MIN_VALUE);
    for (const { label, value, text } of group.bars) {
      const length = Math.max(1, (value / longest) * (width - labelWidth - textWidth));
      const middle = y + barHeight - 4;
      const kind = label === emphasis ? "bar own" : "bar";
      parts.push(
        `<text x="${labelWidth - 8}" y="${middle}" class="label">${xmlText(label)}</text>`,
        `<rect x="${labelWidth}" y="${y}" width="${length.toFixed(1)}" height="${barHeight}" rx="2" class="${kind}"/>`,
        `<text x="${(labelWidth + length + 6).toFixed(1)}" y="${middle}">${xmlText(text)}</text>`,
      );
      y += barHeight + barGap;
    }
  }
  const height = y + 16;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-16 0 ${width + 32} ${height}" width="${width + 32}" height="${height}">
<style>
  rect.page { fill: #fff; }
  text { font: 12px system-ui, sans-serif; fill: #333; }
  .title { font-size: 18px; font-weight: 600; }
  .group { font-size: 13px; font-weight: 600; }
  .label { text-anchor: end; }
  .bar { fill: #9aa5b1; }
  .own { fill: #0b7285; }
  @media (prefers-color-scheme: dark) { rect.page { fill: #16191d; } text { fill: #ddd; } .bar { fill: #5c6773; } .own { fill: #22b8cf; } }
</style>
<rect x="-16" width="${width + 32}" height="${height}" class="page"/>
<text x="0" y="28" class="title">${xmlText(title)}</text>
<text x="0" y="50">${xmlText(subtitle)}</text>
${parts.join("\n")}
</svg>
`;
}

function xmlText(text: string): string {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
}
