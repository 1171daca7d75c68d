# Where the packages are: addresses without a slash at the end, below which the paths of files.json lie;
# or one folder that holds them all under their own names, as `troth lock --vendor` makes it.
{
  debian = "";
  security = "";
  wheels = "";
  # packages = ./packages;
}
