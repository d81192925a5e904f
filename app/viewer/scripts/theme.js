// Dark, as reading rooms are, or light: as the system says until the person chooses, then as they
// chose last on this machine.

const THEME_KEY = "caiseg-theme";

// Returns a function that goes to the other theme.
function attachTheme(button) {
  const system = window.matchMedia("(prefers-color-scheme: light)");
  let chosen = rememberedTheme();
  const show = () => {
    const theme = chosen ?? (system.matches ? "light" : "dark");
    document.documentElement.dataset.theme = theme;
    press(button, theme === "light");
  };
  system.addEventListener("change", show);
  show();
  return () => {
    chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    rememberTheme(chosen);
    show();
  };
}

// A browser may be told to keep nothing; then the choice lasts until the page is closed.
function rememberedTheme() {
  try {
    return localStorage.getItem(THEME_KEY);
  } catch {
    return null;
  }
}

function rememberTheme(theme) {
  try {
    localStorage.setItem(THEME_KEY, theme);
  } catch {
    // Nothing depends on it.
  }
}
