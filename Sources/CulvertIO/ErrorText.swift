internal import CLinux

/// The C library's words for an error number ("Connection refused").
public func errorText(_ number: Int32) -> String {
    var buffer = [CChar](repeating: 0, count: 128)
    unsafe culvert_error_text(number, &buffer, buffer.count)
    return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
