"""What others published, brought in: names, geometry and files of GVMGen's and MusicGen's checkpoints."""
