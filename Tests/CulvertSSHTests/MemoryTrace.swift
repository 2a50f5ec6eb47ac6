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
    func count() throws -> Int { try Self.counts([self])[0] }

    /// The same of several, in one pass.
    static func counts(_ traces: [MemoryTrace]) throws -> [Int] {
        let needles = traces.map { $0.secret() }
        precondition(needles.allSatisfy { 16...overlap ~= $0.count }, "fewer bytes are found by chance")
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer {
            _ = memset(window.baseAddress!, 0, window.count)
            window.deallocate()
        }
        let memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC)
        try #require(memory >= 0)
        defer { close(memory) }
        let own = address(window.baseAddress!)..<address(window.baseAddress! + window.count)
        let themselves = needles.map { $0.withBytes { address($0.baseAddress!) } }
        var found = [Int](repeating: 0, count: traces.count)
        for line in try mappings().split(separator: "\n") {
            let fields = line.split(separator: " ")
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            guard ends.count == 2, fields[1].hasPrefix("rw") else { continue }
            read(memory, ends[0]..<ends[1], window) { at, bytes, count in
                for (index, needle) in needles.enumerated() {
                    needle.withBytes { needle in
                        find(needle, in: bytes) { offset in
                            let hit = at + UInt(offset)
                            if offset < count && !themselves.contains(hit) && !own.contains(hit) { found[index] += 1 }
                        }
                    }
                }
            }
        }
        return found
    }

    private static func address(_ pointer: UnsafeRawPointer) -> UInt { UInt(bitPattern: pointer) }

    private static func mappings() throws -> String {
        let maps = open("/proc/self/maps", O_RDONLY | O_CLOEXEC)
        try #require(maps >= 0)
        defer { close(maps) }
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 1 << 16)
        while case let count = Glibc.read(maps, &part, part.count), count > 0 { text += part[..<count] }
        return String(decoding: text, as: UTF8.self)
    }

    /// glibc's, which Swift does not see.
    private static let memmem = unsafeBitCast(
        dlsym(nil, "memmem")!,
        to: (@convention(c) (UnsafeRawPointer, Int, UnsafeRawPointer, Int) -> UnsafeRawPointer?).self)

    private static func find(
        _ needle: UnsafeRawBufferPointer, in bytes: UnsafeRawBufferPointer, _ hit: (Int) -> Void
    ) {
        var from = 0
        while let place = memmem(bytes.baseAddress! + from, bytes.count - from, needle.baseAddress!, needle.count) {
            let offset = place - bytes.baseAddress!
            hit(offset)
            from = offset + 1
        }
    }

    /// The longest that is looked for.
    private static let overlap = 64

    /// A range of memory in parts, each with the beginning of the next behind it: what begins there is the next one's.
    private static func read(
        _ memory: Int32, _ range: Range<UInt>, _ window: UnsafeMutableRawBufferPointer,
        _ part: (_ at: UInt, UnsafeRawBufferPointer, _ count: Int) -> Void
    ) {
        var at = range.lowerBound
        while at < range.upperBound {
            // What another thread gives back meanwhile cannot be read; it has nothing of ours.
            let length = pread(memory, window.baseAddress, min(window.count, Int(range.upperBound - at)), off_t(at))
            guard length > 0 else { return }
            let isLast = at + UInt(length) >= range.upperBound || length <= overlap
            let count = isLast ? length : length - overlap
            part(at, UnsafeRawBufferPointer(rebasing: window[..<length]), count)
            if isLast { return }
            at += UInt(count)
        }
    }
}
