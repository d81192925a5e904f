"""The web app: views, annotation sessions and exports, on top of :mod:`caiseg`."""
