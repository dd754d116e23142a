import { expect } from "vitest";

/** What a page shows as text, without its styles. */
export function textOf(page: string): string {
  return page
    .replace(/<style>[\s\S]*?<\/style>/, "")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll(/\s+/g, " ");
}

/** Elements and the names of their attributes. */
export function tagsOf(page: string): string[] {
  return [...page.matchAll(/<\/?[a-z][^>]*>/g)].map(([tag]) => tag.replaceAll(/"[^"]*"/g, '""'));
}

/** It loads nothing, runs nothing, closes what it opens, and its tables have captions. */
export function expectSound(page: string): void {
  expect(
    page.replaceAll("http://deb.example.org/debian", "").replaceAll("http://localhost/", ""),
  ).not.toMatch(/(src|href|action)=|url\(|@import|<script|<link|https?:/i);
  expect(page).toContain("default-src 'none'");
  expect(page).toMatch(/^<!DOCTYPE html>\n<html lang="en">/);
  const opened: string[] = [];
  for (const [, close, name] of page.matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*>/g)) {
    if (["meta", "img"].includes(name!)) continue;
    if (close === "") opened.push(name!);
    else expect(opened.pop()).toBe(name);
  }
  expect(opened).toEqual([]);
  for (const [table] of page.matchAll(/<table>[\s\S]*?<\/table>/g)) {
    expect(table).toMatch(/^<table><caption>[^<]/);
    expect(table).not.toMatch(/<th>/);
  }
}
