// Draws the page's figures in the page's own colours, and again when it turns dark or light.
(() => {
  "use strict";

  const figures = [...document.querySelectorAll("[data-figure]")].map((element) => ({
    element,
    ...JSON.parse(document.getElementById(element.dataset.figure).textContent),
  }));

  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      color: colour("--muted"),
      gridcolor: colour("--rule"),
      linecolor: colour("--rule"),
      zerolinecolor: colour("--strong-rule"),
    };
    return { axis, text: colour("--text"), ground: colour("--ground"), rule: colour("--rule") };
  };

  const layoutOf = (figure) => {
    const { axis, text, ground, rule } = colours();
    return {
      ...figure.layout,
      font: { ...figure.layout.font, color: text, family: getComputedStyle(document.body).fontFamily },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      hoverlabel: { bgcolor: ground, bordercolor: rule, font: { color: text } },
      xaxis: { ...figure.layout.xaxis, ...axis },
      yaxis: { ...figure.layout.yaxis, ...axis },
    };
  };

  const draw = () =>
    Promise.all(
      figures.map((figure) =>
        Plotly.react(figure.element, figure.data, layoutOf(figure), {
          displayModeBar: false,
          responsive: true,
        }),
      ),
    );

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw().then(() => {
    document.documentElement.dataset.drawn = figures.length;
  });
})();
