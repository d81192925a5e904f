// Dark, as reading rooms are, or light: as the system says until the person chooses, then as they
// chose last on this machine.

const THEME_KEY = "caiseg-theme";

// Returns a function that goes to the other theme.
function attachTheme(button) {
  const system = window.matchMedia("(prefers-color-scheme: light)");
  // Where nothing is kept, the choice lasts until the page is closed.
  let chosen = storage.read(THEME_KEY);
  const show = () => {
    const theme = chosen ?? (system.matches ? "light" : "dark");
    document.documentElement.dataset.theme = theme;
    press(button, theme === "light");
  };
  system.addEventListener("change", show);
  show();
  return () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    storage.write(THEME_KEY, chosen);
    show();
  };
}
