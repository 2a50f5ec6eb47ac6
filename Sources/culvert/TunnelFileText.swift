internal import CulvertConfig
internal import Glibc

/// Reads the file of `culvert up`. It may name commands to run (ProxyCommand), so nobody else may write to it.
enum TunnelFileText {
    static func read(_ request: TunnelFileRequest) throws(ConfigurationError) -> TunnelFile {
        try TunnelFile(
            try text(request.file), path: request.file, only: request.names, options: request.options)
    }

    private static func text(_ path: String) throws(ConfigurationError) -> String {
        func fault(_ text: String) -> ConfigurationError {
            ConfigurationError("\(path): \(text)", command: "culvert up")
        }
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw fault(unsafe String(cString: strerror(errno))) }
        defer { close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            throw fault("is no file")
        }
        guard status.st_uid == 0 || status.st_uid == getuid(), status.st_mode & 0o022 == 0 else {
            throw fault("bad owner or permissions: it must be yours, and nobody else may write to it (chmod go-w)")
        }
        var bytes: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 65536)
        while true {
            let count = unsafe Glibc.read(descriptor, &block, block.count)
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else { throw fault(unsafe String(cString: strerror(errno))) }
            if count == 0 { break }
            bytes += block[..<count]
            if bytes.count > TunnelFile.longest { throw fault("longer than \(TunnelFile.longest >> 20) MiB") }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else { throw fault("is not UTF-8") }
        return text
    }
}
