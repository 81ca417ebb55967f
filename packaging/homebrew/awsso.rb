# A release fills in what stands between @…@.
class Awsso < Formula
  desc "One AWS IAM Identity Center login for every terminal, script, editor and assistant"
  homepage "@REPOSITORY@"
  url "@REPOSITORY@/archive/refs/tags/v@VERSION@.tar.gz"
  sha256 "@SOURCE_SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    system "cargo", "build", "--locked", "--release", "--workspace", "--bins"
    bin.install "target/release/awsso", "target/release/awssod", "target/release/awsso-mcp"
    system bin/"awsso", "man", man1
    man8.install Dir["packaging/man/*.8"]
    generate_completions_from_executable(bin/"awsso", "completions")
  end

  service do
    run opt_bin/"awssod"
    keep_alive crashed: true
    process_type :background
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/awsso --version")
    assert_match "daemon", shell_output("#{bin}/awsso daemon status --json")
  end
end
