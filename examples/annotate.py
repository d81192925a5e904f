"""Annotate a scan from a program: open it, click, look at the figures, download the mask.

    python app.py &
    python examples/annotate.py http://127.0.0.1:7860 scan.nii.gz mask.nii.gz 40,52,17,fg 12,30,9,bg

With accounts, name and password come from the environment: CAISEG_USER and CAISEG_PASSWORD.
"""

from __future__ import annotations

import os
import shutil
import sys

from gradio_client import Client, handle_file


def main(url: str, scan: str, mask: str, *clicks: str) -> None:
    """Open a scan on a running server, place clicks, and save the mask.

    Args:
        url: Where the app is.
        scan: The file to annotate.
        mask: Where the mask goes, a ``.nii.gz`` file.
        clicks: Each ``i,j,k,fg`` or ``i,j,k,bg``, voxels in closest canonical (RAS+) order.
    """
    user = os.environ.get("CAISEG_USER")
    auth = (user, os.environ["CAISEG_PASSWORD"]) if user else None
    client = Client(url, auth=auth, verbose=False)
    state = client.predict(handle_file(scan), api_name="/load")
    for warning in state["warnings"]:
        print(warning, file=sys.stderr)
    for click in clicks:
        i, j, k, label = click.split(",")
        state = client.predict(int(i), int(j), int(k), label, api_name="/click")
        (lesion,) = state["objects"]
        print(f"{click}: {lesion['millilitres']:.2f} mL")
    shutil.copyfile(client.predict("labels", api_name="/download"), mask)
    print(f"{mask}: {len(state['clicks'])} clicks, model {state['model']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
