# CPU:   docker build -t caiseg .
# CUDA:  docker build -t caiseg --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu130 .
# Run:   docker run -it --rm --user "$(id -u)" -v "$PWD:/accounts" caiseg --add-user NAME --auth /accounts/auth
#        docker run --rm --user "$(id -u)" -p 7860:7860 -v "$PWD/auth:/run/secrets/caiseg-auth:ro" caiseg
#        (with --gpus all for CUDA). The app listens to the network here, so it wants accounts;
#        put a reverse proxy with TLS in front of it.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim-bookworm

# PyTorch publishes one index for each kind of build: /whl/cpu without GPU code, /whl/cu130 for
# CUDA 13.0. For Linux the usual index of pip has the CUDA build only, gigabytes larger.
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/tmp/cache

RUN useradd --create-home --uid 10001 caiseg
WORKDIR /opt/caiseg

# Requirements come before the program, so that a change of code installs nothing again.
COPY requirements.txt ./
RUN pip install --no-deps --index-url "${TORCH_INDEX}" "$(grep ^torch== requirements.txt)" \
    && pip install -r requirements.txt

COPY app.py ./
COPY app ./app
COPY caiseg ./caiseg
COPY assets/checkpoints ./assets/checkpoints

USER caiseg
EXPOSE 7860

HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/health', timeout=5)"]

ENTRYPOINT ["python", "app.py"]
CMD ["--host", "0.0.0.0", "--auth", "/run/secrets/caiseg-auth"]
