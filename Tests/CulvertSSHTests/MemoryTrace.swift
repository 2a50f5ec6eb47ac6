import Glibc
import Testing

@testable import CulvertSSH

/// A secret that is looked for in the memory of this process. It is kept masked, so that it does not find itself.
struct MemoryTrace {
    private let masked: [UInt8]
    private static let mask: UInt8 = 0xa5

    init(_ bytes: UnsafeRawBufferPointer) { masked = bytes.map { $0 ^ Self.mask } }

    init(_ secret: Secret) { self = secret.withBytes { MemoryTrace($0) } }

    /// One that nobody has.
    static func random(_ count: Int) -> MemoryTrace {
        MemoryTrace(masked: (0..<count).map { _ in UInt8.random(in: 0...255) })
    }

    private init(masked: [UInt8]) { self.masked = masked }

    /// The last `count` bytes: an allocator writes its own at the beginning of what was freed.
    func tail(_ count: Int) -> MemoryTrace { MemoryTrace(masked: masked.suffix(count)) }

    /// The secret itself, in memory that is wiped.
    func secret() -> Secret {
        Secret(capacity: masked.count) { memory in
            for (index, byte) in masked.enumerated() { memory[index] = byte ^ Self.mask }
            return masked.count
        }
    }

    /// How often the bytes stand in memory that this process can write.
    func count() throws -> Int {
        let needle = secret()
        precondition(needle.count >= 16, "fewer bytes are found by chance")
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer {
            _ = memset(window.baseAddress!, 0, window.count)
            window.deallocate()
        }
        let memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC)
        try #require(memory >= 0)
        defer { close(memory) }
        let own = UInt(bitPattern: window.baseAddress!)..<UInt(bitPattern: window.baseAddress! + window.count)
        var found = 0
        for line in try Self.mappings().split(separator: "\n") {
            let fields = line.split(separator: " ")
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, fields[1].hasPrefix("rw") else { continue }
            found += needle.withBytes { needle in
                let itself = UInt(bitPattern: needle.baseAddress!)
                return Self.search(memory, ends[0]..<ends[1], for: needle, window) { at in
                    at == itself || own.overlaps(at..<at + UInt(needle.count))
                }
            }
        }
        return found
    }

    private static func mappings() throws -> String {
        let maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        try #require(maps >= 0)
        defer { close(maps) }
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = read(maps, &part, part.count), count > 0 { text += part[..<count] }
        return String(decoding: text, as: UTF8.self)
    }

    /// glibc's, which Swift does not see.
    private static let memmem = unsafeBitCast(
        dlsym(nil, "memmem")!,
        to: (@convention(c) (UnsafeRawPointer, Int, UnsafeRawPointer, Int) -> UnsafeRawPointer?).self)

    private static func search(
        _ memory: Int32, _ range: Range<UInt>, for needle: UnsafeRawBufferPointer,
        _ window: UnsafeMutableRawBufferPointer, except: (UInt) -> Bool
    ) -> Int {
        var found = 0
        var at = range.lowerBound
        while at < range.upperBound {
            // What another thread gives back meanwhile cannot be read; it has nothing of ours.
            let length = pread(memory, window.baseAddress, min(window.count, Int(range.upperBound - at)), off_t(at))
            guard length >= needle.count else { return found }
            var from = 0
            while let hit = memmem(window.baseAddress! + from, length - from, needle.baseAddress!, needle.count) {
                let offset = hit - UnsafeRawPointer(window.baseAddress!)
                if !except(at + UInt(offset)) { found += 1 }
                from = offset + 1
            }
            guard at + UInt(length) < range.upperBound else { return found }
            // One that lies across the end is seen with the next part.
            at += UInt(length - needle.count + 1)
        }
        return found
    }
}
