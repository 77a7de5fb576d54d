sample_PKGS  := zlib
sample_NEEDS := zlib-dev
