#!/usr/bin/env bash
# The weights called small, from nothing: trainings on synthetic prints alone, then a release.
# Each training goes on where it was stopped when this is run again, and a finished one has nothing
# left to do. On a CPU, or, as the batches of 128 prints that Module 2 is shown ask for, on a GPU.
# The folder to write to is runs/small; IFVIT names another ifvit to run.
set -euo pipefail
ifvit="${IFVIT:-ifvit}"

# The first three saw no hard prints and one scale, which the preset has by now.
mild=(--hard 0 --zoom 1 1)

# Module 1 first learns upright prints on a small canvas, at a fraction of the cost, then prints at
# any angle on its own, and goes on from there with more fingers at a lower rate.
"$ifvit" train-dense --preset tiny --seed 1 --fingers 1500 --val-fingers 32 --epochs 24 \
  --pairs-per-epoch 1000 --max-rotation 45 --checkpoint-dir runs/upright
"$ifvit" train-dense --preset small "${mild[@]}" --seed 2 \
  --init-from runs/upright/dense_reg_ckpt.safetensors --checkpoint-dir runs/dense_small
"$ifvit" train-dense --preset small "${mild[@]}" --seed 2 --fingers 5000 --epochs 26 --learning-rate 0.0008 \
  --init-from runs/dense_small/dense_reg_ckpt.safetensors --checkpoint-dir runs/dense_small2

# Module 1 then goes on with prints that were pulled, twisted and pressed, wet, dry and scarred, and
# drawn at the scales of use.
"$ifvit" train-dense --preset small --seed 4 --fingers 1000 --epochs 16 --pairs-per-epoch 1000 \
  --learning-rate 0.0008 --ema 0.998 --init-from runs/dense_small2/dense_reg_ckpt.safetensors \
  --checkpoint-dir runs/dense_skin
"$ifvit" train-dense --preset small --seed 5 --fingers 1600 --epochs 28 --pairs-per-epoch 1000 \
  --learning-rate 0.0008 --ema 0.998 --init-from runs/dense_skin/dense_reg_ckpt.safetensors \
  --checkpoint-dir runs/dense_skin2

# The last training is as long as all before it seven times over: some minutes of a GPU.
"$ifvit" train-dense --preset small --hard 0.5 --seed 6 --fingers 6000 --epochs 32 \
  --pairs-per-epoch 8000 --batch-size 32 --learning-rate 0.0012 --ema 0.999 \
  --init-from runs/dense_skin2/dense_reg_ckpt.safetensors --checkpoint-dir runs/dense_long

# Twice as many pairs again. The trainings before this one were made when Module 1 had no fine level.
"$ifvit" train-dense --preset small --hard 0.5 --seed 8 --fingers 8000 --epochs 31 \
  --pairs-per-epoch 16000 --batch-size 64 --learning-rate 0.0012 --ema 0.999 \
  --init-from runs/dense_long/dense_reg_ckpt.safetensors --checkpoint-dir runs/dense_fine

# Module 2 starts from all that Module 1 has by then: 3,300 steps.
"$ifvit" train-match --preset small --seed 7 --compute-dtype bfloat16 \
  --pretrained-ckpt runs/dense_long/dense_reg_ckpt.safetensors --checkpoint-dir runs/match_prints

if [[ ! -e runs/small/weights.json ]]; then
  "$ifvit" release --name small --out runs/small \
    --dense-ckpt runs/dense_fine/dense_reg_ckpt.safetensors \
    --matcher-ckpt runs/match_prints/matcher_ckpt.safetensors
fi
