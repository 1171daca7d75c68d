# Made by troth: the root file system of an image, out of the packages that its lock names.
#
#   nix build path:.                 the tree, each file of it held to the digest in files.json
#
# Where packages are is yours to say, in mirrors.nix. It decides no byte: each is held to its SHA-256.
{
  description = "the root file system of an image, file by file";

  # Any will do: it gives a Python to assemble with, and nothing that ends in the tree.
  inputs.nixpkgs.url = "nixpkgs";

  outputs = { self, nixpkgs }:
    let
      list = builtins.fromJSON (builtins.readFile ./files.json);
      pkgs = nixpkgs.legacyPackages.${list.system};

      rootfs = { debian ? "", security ? "", wheels ? "", packages ? null }:
        let
          mirrors = { inherit debian security wheels; };
          at = one:
            if mirrors.${one.archive} == ""
            then throw "mirrors.nix does not say where ${one.archive} is, from which ${one.file} comes"
            else "${mirrors.${one.archive}}/${one.path}";
          got = one:
            if packages != null
            then builtins.path {
              path = packages + "/${one.file}";
              name = one.sha256;
              recursive = false;
              sha256 = one.sha256;
            }
            else pkgs.fetchurl {
              url = at one;
              name = one.sha256;
              sha256 = one.sha256;
            };
          link = one: "ln -s ${got one} packages/${one.sha256}\n";
        in
        pkgs.runCommand "${list.name}-rootfs" { nativeBuildInputs = [ pkgs.python3 ]; } ''
          mkdir packages
          ${builtins.concatStringsSep "" (map link list.packages)}
          python3 ${./assemble.py} ${./files.json} ${./files} packages $out
        '';
    in
    {
      lib = { inherit rootfs; };
      packages.${list.system}.default = rootfs (import ./mirrors.nix);
    };
}
